//! The columns of `show stat`, in HAProxy's order (management.txt 9.1).
//!
//! Order, names and tags are what tools rely on and must never change; a column that oneloop cannot
//! fill stays in its place, empty. The descriptions are ours.

use super::field::Field;

macro_rules! columns {
    ($($column:ident $name:literal $tags:literal $about:literal;)*) => {
        /// A column of `show stat`; its number is its place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Column {
            $(
                #[doc = $about]
                $column,
            )*
        }

        /// What each column is, by its number.
        pub const COLUMNS: &[Field] = &[
            $(Field { name: $name, tags: $tags, about: $about },)*
        ];
    };
}

columns! {
    Pxname "pxname" "KNS" "Name of the proxy";
    Svname "svname" "KNS" "FRONTEND, BACKEND or the name of the server";
    Qcur "qcur" "MGP" "Requests that wait in the queue now";
    Qmax "qmax" "MMP" "Most requests that waited in the queue at once";
    Scur "scur" "MGP" "Sessions now";
    Smax "smax" "MMP" "Most sessions at once";
    Slim "slim" "CLP" "Most sessions allowed (maxconn, or a backend's fullconn)";
    Stot "stot" "MCP" "Sessions since the start";
    Bin "bin" "MCP" "Bytes received from clients";
    Bout "bout" "MCP" "Bytes sent to clients";
    Dreq "dreq" "MCP" "Requests denied by rules";
    Dresp "dresp" "MCP" "Answers denied by rules";
    Ereq "ereq" "MCP" "Requests that were bad, too late or given up";
    Econ "econ" "MCP" "Connections to servers that failed";
    Eresp "eresp" "MCP" "Answers that were bad, too late or given up";
    Wretr "wretr" "MCP" "Connections tried again";
    Wredis "wredis" "MCP" "Requests sent to another server than first chosen";
    Status "status" "SGP" "State of the proxy or server";
    Weight "weight" "MaP" "Weight in use; a backend's is the sum of its servers'";
    Act "act" "MGP" "Active servers in use (of a server: 1 when active)";
    Bck "bck" "MGP" "Backup servers in use (of a server: 1 when backup)";
    Chkfail "chkfail" "MCP" "Health checks that failed while the server was up";
    Chkdown "chkdown" "MCP" "Times it went down";
    Lastchg "lastchg" "MAP" "Seconds since it last went up or down";
    Downtime "downtime" "MCP" "Seconds spent down in all";
    Qlimit "qlimit" "CGS" "Most requests that may wait for the server (maxqueue)";
    Pid "pid" "KGP" "Number of the worker, always 1";
    Iid "iid" "KGS" "Number of the proxy";
    Sid "sid" "KGS" "Number of the server in its proxy";
    Throttle "throttle" "MaP" "Percentage of the weight in use while the server warms up";
    Lbtot "lbtot" "MCP" "Times balancing chose the server";
    Tracked "tracked" "CNS" "Server whose checks are shared";
    Type "type" "CGS" "0 frontend, 1 backend, 2 server, 3 listener";
    Rate "rate" "MRP" "Sessions in the last second";
    RateLim "rate_lim" "CLP" "Most sessions allowed in a second";
    RateMax "rate_max" "MMP" "Most sessions in one second";
    CheckStatus "check_status" "MOP" "Result of the last health check";
    CheckCode "check_code" "MOP" "Code of the answer to the last health check";
    CheckDuration "check_duration" "MDP" "How long the last health check took, ms";
    Hrsp1xx "hrsp_1xx" "MCP" "Answers with a status of 100 to 199";
    Hrsp2xx "hrsp_2xx" "MCP" "Answers with a status of 200 to 299";
    Hrsp3xx "hrsp_3xx" "MCP" "Answers with a status of 300 to 399";
    Hrsp4xx "hrsp_4xx" "MCP" "Answers with a status of 400 to 499";
    Hrsp5xx "hrsp_5xx" "MCP" "Answers with a status of 500 to 599";
    HrspOther "hrsp_other" "MCP" "Answers with another status";
    Hanafail "hanafail" "MCP" "Failures that watching the traffic found";
    ReqRate "req_rate" "MRP" "HTTP requests in the last second";
    ReqRateMax "req_rate_max" "MMP" "Most HTTP requests in one second";
    ReqTot "req_tot" "MCP" "HTTP requests since the start";
    CliAbrt "cli_abrt" "MCP" "Transfers given up by the client";
    SrvAbrt "srv_abrt" "MCP" "Transfers given up by the server";
    CompIn "comp_in" "MCP" "Bytes that went into compression";
    CompOut "comp_out" "MCP" "Bytes that came out of compression";
    CompByp "comp_byp" "MCP" "Bytes that passed compression by";
    CompRsp "comp_rsp" "MCP" "Answers that were compressed";
    Lastsess "lastsess" "MAP" "Seconds since the last session; -1 for never";
    LastChk "last_chk" "MOP" "What the last health check found";
    LastAgt "last_agt" "MOP" "What the last agent check found";
    Qtime "qtime" "MaP" "Mean time in queue of the last 1024 requests, ms";
    Ctime "ctime" "MaP" "Mean time to connect of the last 1024 requests, ms";
    Rtime "rtime" "MaP" "Mean time to answer of the last 1024 requests, ms";
    Ttime "ttime" "MaP" "Mean whole time of the last 1024 requests, ms";
    AgentStatus "agent_status" "MOP" "Result of the last agent check";
    AgentCode "agent_code" "MOP" "Code of the last agent check";
    AgentDuration "agent_duration" "MDP" "How long the last agent check took, ms";
    CheckDesc "check_desc" "MOP" "Result of the last health check in words";
    AgentDesc "agent_desc" "MOP" "Result of the last agent check in words";
    CheckRise "check_rise" "CGS" "Successes in a row that bring the server up";
    CheckFall "check_fall" "CGS" "Failures in a row that take the server down";
    CheckHealth "check_health" "CGS" "Where the health check's counter stands";
    AgentRise "agent_rise" "CGS" "Agent successes in a row that bring the server up";
    AgentFall "agent_fall" "CGS" "Agent failures in a row that take the server down";
    AgentHealth "agent_health" "CGS" "Where the agent check's counter stands";
    Addr "addr" "CGS" "Address and port of the server";
    Cookie "cookie" "CNS" "Cookie of the server or of the backend";
    Mode "mode" "CGS" "Mode of the proxy";
    Algo "algo" "CGS" "Balancing algorithm";
    ConnRate "conn_rate" "MRP" "Connections in the last second";
    ConnRateMax "conn_rate_max" "MMP" "Most connections in one second";
    ConnTot "conn_tot" "MCP" "Connections since the start";
    Intercepted "intercepted" "MCP" "Requests answered here";
    Dcon "dcon" "MCP" "Connections denied by rules";
    Dses "dses" "MCP" "Sessions denied by rules";
    Wrew "wrew" "MCP" "Header rewrites that failed";
    Connect "connect" "MCP" "Connection attempts to servers";
    Reuse "reuse" "MCP" "Requests sent over a connection used before";
    CacheLookups "cache_lookups" "MCP" "Lookups in the cache";
    CacheHits "cache_hits" "MCP" "Lookups that the cache answered";
    SrvIcur "srv_icur" "MGP" "Idle connections to the server";
    SrcIlim "src_ilim" "CLP" "Most idle connections to the server";
    QtimeMax "qtime_max" "MMP" "Longest time in queue, ms";
    CtimeMax "ctime_max" "MMP" "Longest time to connect, ms";
    RtimeMax "rtime_max" "MMP" "Longest time to answer, ms";
    TtimeMax "ttime_max" "MMP" "Longest whole time, ms";
    Eint "eint" "MCP" "Internal errors";
    IdleConnCur "idle_conn_cur" "MGP" "Idle connections that no request was yet safe to share";
    SafeConnCur "safe_conn_cur" "MGP" "Idle connections that any request may share";
    UsedConnCur "used_conn_cur" "MGP" "Connections to the server in use";
    NeedConnEst "need_conn_est" "MGP" "Connections to the server believed to be needed";
    Uweight "uweight" "MaP" "Weight as set; a backend's is the sum of its servers'";
    AggServerStatus "agg_server_status" "MGP" "Servers by state (in metrics)";
    AggServerCheckStatus "agg_server_check_status" "MGP" "Servers by check state (in metrics)";
    AggCheckStatus "agg_check_status" "MGP" "Servers by check result (in metrics)";
    SslSess "ssl_sess" "MCP" "TLS sessions established";
    SslReusedSess "ssl_reused_sess" "MCP" "TLS sessions resumed";
    SslFailedHandshake "ssl_failed_handshake" "MCP" "TLS handshakes that failed";
    H2HeadersRcvd "h2_headers_rcvd" "MCP" "HTTP/2 HEADERS frames received";
    H2DataRcvd "h2_data_rcvd" "MCP" "HTTP/2 DATA frames received";
    H2SettingsRcvd "h2_settings_rcvd" "MCP" "HTTP/2 SETTINGS frames received";
    H2RstStreamRcvd "h2_rst_stream_rcvd" "MCP" "HTTP/2 RST_STREAM frames received";
    H2GoawayRcvd "h2_goaway_rcvd" "MCP" "HTTP/2 GOAWAY frames received";
    H2DetectedConnProtocolErrors "h2_detected_conn_protocol_errors" "MCP" "HTTP/2 connection errors found";
    H2DetectedStrmProtocolErrors "h2_detected_strm_protocol_errors" "MCP" "HTTP/2 stream errors found";
    H2RstStreamResp "h2_rst_stream_resp" "MCP" "HTTP/2 RST_STREAM frames sent";
    H2GoawayResp "h2_goaway_resp" "MCP" "HTTP/2 GOAWAY frames sent";
    H2OpenConnections "h2_open_connections" "MGP" "HTTP/2 connections now";
    H2BackendOpenStreams "h2_backend_open_streams" "MGP" "HTTP/2 streams now";
    H2TotalConnections "h2_total_connections" "MCP" "HTTP/2 connections since the start";
    H2BackendTotalStreams "h2_backend_total_streams" "MCP" "HTTP/2 streams since the start";
    H1OpenConnections "h1_open_connections" "MGP" "HTTP/1 connections now";
    H1OpenStreams "h1_open_streams" "MGP" "HTTP/1 messages under way";
    H1TotalConnections "h1_total_connections" "MCP" "HTTP/1 connections since the start";
    H1TotalStreams "h1_total_streams" "MCP" "HTTP/1 messages since the start";
    H1BytesIn "h1_bytes_in" "MCP" "Bytes received over HTTP/1";
    H1BytesOut "h1_bytes_out" "MCP" "Bytes sent over HTTP/1";
    H1SplicedBytesIn "h1_spliced_bytes_in" "MCP" "Bytes received by splicing";
    H1SplicedBytesOut "h1_spliced_bytes_out" "MCP" "Bytes sent by splicing";
}

/// After this column the CSV has one called `-`, always `-`: it parts the common columns from those
/// of the protocols.
pub const LAST_COMMON: Column = Column::AggCheckStatus;
