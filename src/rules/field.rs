//! The facts of a session that format strings print and fetches read, as the engine knows them.
//!
//! A field is one fact, not one variable: several variables may print the same fact differently,
//! which is `format`'s business. The engine answers with a plain [`Value`] that borrows from its
//! records. Nothing here has logic.
//! Rejected: a struct of all facts, which would have to be filled for every line.

use crate::base::addr::Address;

/// A fact of the session as the engine knows it. The names of configuration.txt 8.2.6 are
/// mapped to these by `format`'s table, which also does all printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `%ci`, `%cp`: the client's address as logged. `Value::Address`.
    Client,
    /// `%fi`, `%fp`: the address the client connected to. `Value::Address`.
    Frontend,
    /// `fc_src`, `fc_src_port`: the far end of the client's connection, whatever a header of the
    /// PROXY protocol says. `Value::Address`.
    ConnectionSource,
    /// `fc_dst`, `fc_dst_port`: its near end. `Value::Address`.
    ConnectionDestination,
    /// `fc_rcvd_proxy`: whether it began with such a header, `Int`.
    IsIntroduced,
    /// `fc_pp_authority`: the name that the client asked for, as the header says.
    Authority,
    /// `fc_pp_unique_id`: the connection's id, as the header says.
    ConnectionId,
    /// `fc_err`: why it was refused, `Int`; 0 for one that was not.
    ConnectionError,
    /// `%bi`, `%bp`: the address used to connect to the server. `Value::Address`, or `Missing`.
    BackendSource,
    /// `%si`, `%sp`: the server's address. `Value::Address`, or `Missing`.
    Server,
    /// `%f`: the frontend's name. `Value::Bytes`, as all names below.
    FrontendName,
    /// `%b`: the backend's name, the frontend's before one is chosen.
    BackendName,
    /// `%s`: the server's name, or `<NOSRV>`, `<STATS>`...
    ServerName,
    /// `%ft`: what to append to the frontend's name, `~` when the client uses TLS.
    FrontendTransport,
    /// `%H`: the host's name.
    Hostname,
    /// `%r`: the request line as received; `Missing` prints as `<BADREQ>`. `%HM`, `%HU`, `%HP`,
    /// `%HPO`, `%HQ` and `%HV` are parts of it.
    RequestLine,
    /// `%ST`: the status sent to the client, `Int`; `Int(-1)` when there is none.
    Status,
    /// `%B`: bytes from server to client, `Int`, or `Partial` under `option logasap`.
    BytesRead,
    /// `%U`: bytes from client to server, `Int`.
    BytesUploaded,
    /// `%CC`: the captured request cookie.
    RequestCookie,
    /// `%CS`: the captured response cookie.
    ResponseCookie,
    /// `%ID`: the unique id.
    UniqueId,
    /// `%t`, `%T`, `%Tl`, `%Ts`, `%ms`: when the connection was accepted. `Value::Date`.
    AcceptDate,
    /// `%tr`, `%trg`, `%trl`: when the request's first byte came. `Value::Date`.
    RequestDate,
    /// `%Th`: handshake, ms; `Int(-1)` when not reached, as all timers below.
    TimeHandshake,
    /// `%Ti`: idle before the request, ms.
    TimeIdle,
    /// `%TR`: receiving the request, ms.
    TimeRequest,
    /// `%Tq`: handshake, idle and request together, ms.
    TimeQuery,
    /// `%Tw`: waiting in queues, ms.
    TimeQueue,
    /// `%Tc`: connecting, ms.
    TimeConnect,
    /// `%Tr`: the server's answer time, ms.
    TimeResponse,
    /// `%Td`: transferring data, ms.
    TimeData,
    /// `%Ta`: from the request's first byte to the end, ms; `Partial` under `option logasap`.
    TimeActive,
    /// `%Tt`: from accept to the end, ms; `Partial` under `option logasap`.
    TimeTotal,
    /// `%Tu`: from the request's first byte (or accept) to the end, ms.
    TimeUser,
    /// `%ts`, `%tsc`: the four characters of the termination state, `Bytes`.
    Termination,
    /// `%ac`: connections of the process.
    ActiveConnections,
    /// `%fc`: connections of the frontend.
    FrontendConnections,
    /// `%bc`: connections of the backend.
    BackendConnections,
    /// `%sc`: connections of the server.
    ServerConnections,
    /// `%rc`: retries, `Int`, or `Partial` when redispatched.
    Retries,
    /// `%sq`: position in the server's queue.
    ServerQueue,
    /// `%bq`: position in the backend's queue.
    BackendQueue,
    /// `prio_class`: the class in which the request waits for a server.
    PriorityClass,
    /// `prio_offset`: how much later than it did the request is taken to have come, ms.
    PriorityOffset,
    /// `%lc`: the frontend's log counter.
    LogCounter,
    /// `%rt`: the request counter.
    RequestCounter,
    /// `%pid`: the process id.
    Pid,
    /// How many request header captures the frontend declares, `Int`.
    RequestCaptures,
    /// A captured request header (`%hr`, `capture.req.hdr`), `Bytes` or `Missing`.
    RequestCapture(u16),
    /// How many response header captures the frontend declares, `Int`.
    ResponseCaptures,
    /// A captured response header (`%hs`, `capture.res.hdr`), `Bytes` or `Missing`.
    ResponseCapture(u16),
    /// The version of the answer as received, such as `1.1`, at log time (`capture.res.ver`).
    ResponseVersion,
    /// `fe_id`.
    FrontendId,
    /// `be_id`.
    BackendId,
    /// `srv_id`; `Missing` when no server was chosen.
    ServerId,
    /// `fe_defbe`: the name of the default backend.
    DefaultBackend,
    /// `so_id`: the listener's id.
    ListenerId,
    /// `so_name`: the listener's name.
    ListenerName,
    /// `http_first_req`: `Int(1)` for the first request of the connection.
    FirstRequest,
    /// `fe_conn(x)`: connections of a frontend, by id.
    ConnectionsOfFrontend(u32),
    /// `be_conn(x)`: connections of a backend, by id.
    ConnectionsOfBackend(u32),
    /// `nbsrv(x)`: usable servers of a backend, by id.
    UsableServers(u32),
    /// `connslots(x)`: free slots of a backend, by id.
    ConnectionSlots(u32),
    /// `queue(x)`: queued requests of a backend, by id.
    Queue(u32),
    /// `be_sess_rate(x)`, by id.
    BackendRate(u32),
    /// `fe_sess_rate(x)`, by id.
    FrontendRate(u32),
    /// `fe_req_rate(x)`, by id.
    RequestRate(u32),
    /// `srv_is_up(x)`, by id: `Int`.
    ServerIsUp(u32),
    /// `srv_conn(x)`, by id.
    ConnectionsOfServer(u32),
    /// `srv_queue(x)`, by id.
    QueueOfServer(u32),
    /// `srv_weight(x)`, by id.
    WeightOfServer(u32),
}

/// What a [`Field`] holds: a plain fact, printed by `format`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not known or not applicable: `-` is printed in logs, nothing elsewhere.
    Missing,
    /// Text.
    Bytes(&'a [u8]),
    /// A number.
    Int(i64),
    /// A number printed with a plus sign: more is to come (`option logasap`), or the request was
    /// redispatched.
    Partial(i64),
    /// An address and a port.
    Address(Address),
    /// A date.
    Date {
        /// Wall clock in ms since 1970-01-01 UTC.
        wall_ms: u64,
        /// Local time less UTC in seconds, at that moment.
        utc_offset_s: i32,
    },
}
