" Vim syntax file: oneloop's and HAProxy's configurations.
" Made from the table of keywords. What oneloop does not take is shown as an error.

if exists('b:current_syntax')
  finish
endif
syntax case match
syntax iskeyword @,48-57,_,-,.

" The first word of a line.
syntax match oneloopFirst /^\s*\S\+/ contains=oneloopSection,oneloopKeyword,oneloopRefused,oneloopComment
syntax match oneloopFirst /\(^\s*\(no\|default\)\s\+\)\@<=\S\+/ contains=oneloopKeyword,oneloopRefused
syntax keyword oneloopKeyword contained no default
syntax keyword oneloopSection contained backend defaults frontend global listen
syntax keyword oneloopKeyword contained acl backlog balance bind ca-base capture chroot
syntax keyword oneloopKeyword contained clitcpka-cnt clitcpka-idle clitcpka-intvl cookie cpu-map
syntax keyword oneloopKeyword contained crt-base daemon default-server default_backend description
syntax keyword oneloopKeyword contained disabled dispatch dynamic-cookie-key enabled
syntax keyword oneloopKeyword contained error-log-format errorfile external-check force-persist
syntax keyword oneloopKeyword contained fullconn gid group hard-stop-after hash-balance-factor
syntax keyword oneloopKeyword contained hash-type http-check http-request http-response http-reuse
syntax keyword oneloopKeyword contained id ignore-persist insecure-fork-wanted
syntax keyword oneloopKeyword contained insecure-setuid-wanted load-server-state-from-file
syntax keyword oneloopKeyword contained localpeer log log-format log-send-hostname log-tag
syntax keyword oneloopKeyword contained master-worker maxconn maxpipes mode monitor-uri
syntax keyword oneloopKeyword contained mworker-max-reloads nbthread node nosplice
syntax keyword oneloopKeyword contained numa-cpu-mapping option pidfile presetenv quiet rate-limit
syntax keyword oneloopKeyword contained redirect resetenv retries retry-on server
syntax keyword oneloopKeyword contained server-state-base server-state-file server-state-file-name
syntax keyword oneloopKeyword contained set-dumpable setenv source spread-checks srvtcpka-cnt
syntax keyword oneloopKeyword contained srvtcpka-idle srvtcpka-intvl ssl-default-bind-ciphers
syntax keyword oneloopKeyword contained ssl-default-bind-ciphersuites ssl-default-bind-curves
syntax keyword oneloopKeyword contained ssl-default-bind-options ssl-default-server-ciphers
syntax keyword oneloopKeyword contained ssl-default-server-ciphersuites ssl-default-server-options
syntax keyword oneloopKeyword contained stats strict-limits tcp-check tcp-request thread-group
syntax keyword oneloopKeyword contained thread-groups timeout tune.bufsize tune.http.cookielen
syntax keyword oneloopKeyword contained tune.http.logurilen tune.http.maxhdr tune.idle-pool.shared
syntax keyword oneloopKeyword contained tune.listener.multi-queue tune.maxaccept tune.maxrewrite
syntax keyword oneloopKeyword contained tune.pipesize uid ulimit-n unique-id-format
syntax keyword oneloopKeyword contained unique-id-header unix-bind unsetenv use-server use_backend
syntax keyword oneloopKeyword contained user zero-warning
syntax keyword oneloopRefused contained appsession bind-process block busy-polling cache cliexp
syntax keyword oneloopRefused contained clitimeout close-spread-time cluster-secret compression
syntax keyword oneloopRefused contained contimeout declare default-path email-alert errorfiles
syntax keyword oneloopRefused contained errorloc errorloc302 errorloc303
syntax keyword oneloopRefused contained expose-experimental-directives fcgi-app fd-hard-limit
syntax keyword oneloopRefused contained filter grace h1-accept-payload-with-any-method
syntax keyword oneloopRefused contained h1-case-adjust h1-case-adjust-file
syntax keyword oneloopRefused contained h2-workaround-bogus-websocket-clients http-after-response
syntax keyword oneloopRefused contained http-error http-errors http-send-name-header
syntax keyword oneloopRefused contained httpclient.resolvers.id httpclient.resolvers.prefer
syntax keyword oneloopRefused contained httpclient.ssl.ca-file httpclient.ssl.verify
syntax keyword oneloopRefused contained issuers-chain-path log-format-sd log-forward lua-load
syntax keyword oneloopRefused contained lua-load-per-thread lua-prepend-path mailers
syntax keyword oneloopRefused contained max-keep-alive-queue max-spread-checks maxcompcpuusage
syntax keyword oneloopRefused contained maxcomprate maxconnrate maxsessrate maxsslconn maxsslrate
syntax keyword oneloopRefused contained maxzlibmem monitor monitor-net namespace_list nbproc
syntax keyword oneloopRefused contained no-memory-trimming noepoll noevports nogetaddrinfo
syntax keyword oneloopRefused contained nokqueue nopoll noreuseport peers persist
syntax keyword oneloopRefused contained pp2-never-send-local profiling.tasks program redispatch
syntax keyword oneloopRefused contained reqadd reqallow reqdel reqdeny reqiallow reqidel reqideny
syntax keyword oneloopRefused contained reqipass reqirep reqitarpit reqpass reqrep reqtarpit
syntax keyword oneloopRefused contained resolvers ring rspadd rspdel rspdeny rspidel rspideny
syntax keyword oneloopRefused contained rspirep rsprep server-template set-var set-var-fmt srvexp
syntax keyword oneloopRefused contained srvtimeout ssl-dh-param-file ssl-load-extra-del-ext
syntax keyword oneloopRefused contained ssl-load-extra-files ssl-mode-async ssl-propquery
syntax keyword oneloopRefused contained ssl-provider ssl-provider-path ssl-server-verify
syntax keyword oneloopRefused contained ssl-skip-self-issued-ca stick stick-table tcp-response
syntax keyword oneloopRefused contained tune.buffers.limit tune.buffers.reserve tune.chksize
syntax keyword oneloopRefused contained tune.comp.maxlevel tune.fail-alloc tune.fd.edge-triggered
syntax keyword oneloopRefused contained tune.h2.header-table-size tune.h2.initial-window-size
syntax keyword oneloopRefused contained tune.h2.max-concurrent-streams tune.h2.max-frame-size
syntax keyword oneloopRefused contained tune.idletimer tune.lua.forced-yield tune.lua.maxmem
syntax keyword oneloopRefused contained tune.lua.service-timeout tune.lua.session-timeout
syntax keyword oneloopRefused contained tune.lua.task-timeout tune.maxpollevents
syntax keyword oneloopRefused contained tune.pattern.cache-size tune.peers.max-updates-at-once
syntax keyword oneloopRefused contained tune.pool-high-fd-ratio tune.pool-low-fd-ratio
syntax keyword oneloopRefused contained tune.rcvbuf.client tune.rcvbuf.server tune.recv_enough
syntax keyword oneloopRefused contained tune.runqueue-depth tune.sched.low-latency
syntax keyword oneloopRefused contained tune.sndbuf.client tune.sndbuf.server tune.ssl.cachesize
syntax keyword oneloopRefused contained tune.ssl.capture-buffer-size
syntax keyword oneloopRefused contained tune.ssl.capture-cipherlist-size tune.ssl.default-dh-param
syntax keyword oneloopRefused contained tune.ssl.force-private-cache tune.ssl.hard-maxrecord
syntax keyword oneloopRefused contained tune.ssl.keylog tune.ssl.lifetime tune.ssl.maxrecord
syntax keyword oneloopRefused contained tune.ssl.ssl-ctx-cache-size tune.vars.check-max-size
syntax keyword oneloopRefused contained tune.vars.global-max-size tune.vars.proc-max-size
syntax keyword oneloopRefused contained tune.vars.reqres-max-size tune.vars.sess-max-size
syntax keyword oneloopRefused contained tune.vars.txn-max-size use-fcgi-app userlist
syntax match oneloopRefused contained /\<transparent\>/

" The word after option.
syntax match oneloopOptionWord /\(^\s*\(\(no\|default\)\s\+\)\?option\s\+\)\@<=\S\+/ contains=oneloopOption,oneloopOptionRefused
syntax keyword oneloopOption contained abortonclose accept-invalid-http-request
syntax keyword oneloopOption contained accept-invalid-http-response
syntax keyword oneloopOption contained accept-unsafe-violations-in-http-request
syntax keyword oneloopOption contained accept-unsafe-violations-in-http-response allbackups
syntax keyword oneloopOption contained checkcache clitcpka contstats dontlog-normal dontlognull
syntax keyword oneloopOption contained external-check forwardfor http-buffer-request
syntax keyword oneloopOption contained http-ignore-probes http-keep-alive http-no-delay
syntax keyword oneloopOption contained http-pretend-keepalive http-server-close
syntax keyword oneloopOption contained http-use-proxy-header httpchk httpclose httplog
syntax keyword oneloopOption contained idle-close-on-response independent-streams ldap-check
syntax keyword oneloopOption contained log-health-checks log-separate-errors logasap mysql-check
syntax keyword oneloopOption contained nolinger persist pgsql-check prefer-last-server redis-check
syntax keyword oneloopOption contained redispatch smtpchk socket-stats splice-auto splice-request
syntax keyword oneloopOption contained splice-response srvtcpka tcp-check tcp-smart-accept
syntax keyword oneloopOption contained tcp-smart-connect tcpka tcplog
syntax keyword oneloopOptionRefused contained disable-h2-upgrade forceclose
syntax keyword oneloopOptionRefused contained h1-case-adjust-bogus-client
syntax keyword oneloopOptionRefused contained h1-case-adjust-bogus-server
syntax keyword oneloopOptionRefused contained http-restrict-req-hdr-names http-tunnel httpslog
syntax keyword oneloopOptionRefused contained originalto spop-check ssl-hello-chk
syntax match oneloopOptionRefused contained /\<transparent\>/

" The word after timeout.
syntax match oneloopTimeoutWord /\(^\s*\(\(no\|default\)\s\+\)\?timeout\s\+\)\@<=\S\+/ contains=oneloopTimeout,oneloopTimeoutRefused
syntax keyword oneloopTimeout contained check client client-fin connect http-keep-alive
syntax keyword oneloopTimeout contained http-request queue server server-fin tunnel
syntax keyword oneloopTimeoutRefused contained clitimeout contimeout srvtimeout tarpit

" The word after http-request.
syntax match oneloopRequestWord /\(^\s*\(\(no\|default\)\s\+\)\?http-request\s\+\)\@<=\S\+/ contains=oneloopRequest,oneloopRequestRefused
syntax keyword oneloopRequest contained add-header allow del-header deny disable-l7-retry redirect
syntax keyword oneloopRequest contained replace-header replace-path replace-pathq replace-uri
syntax keyword oneloopRequest contained replace-value return set-header set-method set-path
syntax keyword oneloopRequest contained set-pathq set-priority-class set-priority-offset set-query
syntax keyword oneloopRequest contained set-uri use-service wait-for-body
syntax keyword oneloopRequestRefused contained add-acl auth cache-use capture del-acl del-map
syntax keyword oneloopRequestRefused contained do-resolve early-hint normalize-uri ot-group reject
syntax keyword oneloopRequestRefused contained sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1 sc-set-gpt
syntax keyword oneloopRequestRefused contained sc-set-gpt0 send-spoe-group set-dst set-dst-port
syntax keyword oneloopRequestRefused contained set-log-level set-map set-mark set-nice set-src
syntax keyword oneloopRequestRefused contained set-src-port set-timeout set-tos set-var
syntax keyword oneloopRequestRefused contained set-var-fmt silent-drop strict-mode tarpit track-sc
syntax keyword oneloopRequestRefused contained track-sc0 track-sc1 track-sc2 unset-var
syntax keyword oneloopRequestRefused contained wait-for-handshake

" The word after http-response.
syntax match oneloopResponseWord /\(^\s*\(\(no\|default\)\s\+\)\?http-response\s\+\)\@<=\S\+/ contains=oneloopResponse,oneloopResponseRefused
syntax keyword oneloopResponse contained add-header allow del-header deny redirect replace-header
syntax keyword oneloopResponse contained replace-value return set-header set-status
syntax keyword oneloopResponseRefused contained add-acl cache-store capture del-acl del-map
syntax keyword oneloopResponseRefused contained ot-group sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1
syntax keyword oneloopResponseRefused contained sc-set-gpt sc-set-gpt0 send-spoe-group
syntax keyword oneloopResponseRefused contained set-log-level set-map set-mark set-nice set-tos
syntax keyword oneloopResponseRefused contained set-var set-var-fmt silent-drop strict-mode
syntax keyword oneloopResponseRefused contained track-sc track-sc0 track-sc1 track-sc2 unset-var
syntax keyword oneloopResponseRefused contained wait-for-body

syntax match oneloopBindWords /\(^\s*bind\s\+\S\+\s\)\@<=.*$/ contains=oneloopBind,oneloopBindRefused,oneloopString,oneloopVariable,oneloopNumber,oneloopComment
syntax keyword oneloopBind contained accept-proxy backlog defer-accept expose-fd gid group id
syntax keyword oneloopBind contained interface level maxconn mode mss name nice process shards
syntax keyword oneloopBind contained tcp-ut tfo thread uid user v4v6 v6only
syntax keyword oneloopBindRefused contained accept-netscaler-cip allow-0rtt alpn ca-file
syntax keyword oneloopBindRefused contained ca-ignore-err ca-sign-file ca-sign-pass ca-verify-file
syntax keyword oneloopBindRefused contained ciphers ciphersuites crl-file crt crt-ignore-err
syntax keyword oneloopBindRefused contained crt-list curves ecdhe force-sslv3 force-tlsv10
syntax keyword oneloopBindRefused contained force-tlsv11 force-tlsv12 force-tlsv13
syntax keyword oneloopBindRefused contained generate-certificates namespace no-ca-names no-sslv3
syntax keyword oneloopBindRefused contained no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13
syntax keyword oneloopBindRefused contained npn prefer-client-ciphers proto severity-output ssl
syntax keyword oneloopBindRefused contained ssl-max-ver ssl-min-ver strict-sni tls-ticket-keys
syntax keyword oneloopBindRefused contained verify
syntax match oneloopBindRefused contained /\<transparent\>/

syntax match oneloopSocketWords /\(^\s*stats\s\+socket\s\+\S\+\s\)\@<=.*$/ contains=oneloopSocket,oneloopSocketRefused,oneloopString,oneloopVariable,oneloopNumber,oneloopComment
syntax keyword oneloopSocket contained defer-accept expose-fd gid group id level mode name process
syntax keyword oneloopSocket contained shards thread uid user v4v6 v6only
syntax keyword oneloopSocketRefused contained accept-netscaler-cip accept-proxy allow-0rtt alpn
syntax keyword oneloopSocketRefused contained backlog ca-file ca-ignore-err ca-sign-file
syntax keyword oneloopSocketRefused contained ca-sign-pass ca-verify-file ciphers ciphersuites
syntax keyword oneloopSocketRefused contained crl-file crt crt-ignore-err crt-list curves ecdhe
syntax keyword oneloopSocketRefused contained force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12
syntax keyword oneloopSocketRefused contained force-tlsv13 generate-certificates interface maxconn
syntax keyword oneloopSocketRefused contained mss namespace nice no-ca-names no-sslv3
syntax keyword oneloopSocketRefused contained no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12
syntax keyword oneloopSocketRefused contained no-tlsv13 npn prefer-client-ciphers proto
syntax keyword oneloopSocketRefused contained severity-output ssl ssl-max-ver ssl-min-ver
syntax keyword oneloopSocketRefused contained strict-sni tcp-ut tfo tls-ticket-keys verify
syntax match oneloopSocketRefused contained /\<transparent\>/

syntax match oneloopServerWords /\(^\s*\(server\s\+\S\+\s\+\S\+\|default-server\)\s\)\@<=.*$/ contains=oneloopServer,oneloopServerRefused,oneloopString,oneloopVariable,oneloopNumber,oneloopComment
syntax keyword oneloopServer contained addr agent-addr agent-check agent-inter agent-port
syntax keyword oneloopServer contained agent-send backup check check-send-proxy cookie disabled
syntax keyword oneloopServer contained downinter enabled error-limit fall fastinter
syntax keyword oneloopServer contained first-check-before-traffic id inter maxconn maxqueue
syntax keyword oneloopServer contained minconn no-agent-check no-backup no-check
syntax keyword oneloopServer contained no-check-send-proxy no-send-proxy no-send-proxy-v2
syntax keyword oneloopServer contained no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn no-tfo observe
syntax keyword oneloopServer contained on-error on-marked-down on-marked-up pool-low-conn
syntax keyword oneloopServer contained pool-max-conn pool-purge-delay port proxy-v2-options rise
syntax keyword oneloopServer contained send-proxy send-proxy-v2 send-proxy-v2-ssl
syntax keyword oneloopServer contained send-proxy-v2-ssl-cn slowstart source tcp-ut tfo track
syntax keyword oneloopServer contained weight
syntax keyword oneloopServerRefused contained allow-0rtt alpn ca-file check-alpn check-proto
syntax keyword oneloopServerRefused contained check-sni check-ssl check-via-socks4 ciphers
syntax keyword oneloopServerRefused contained ciphersuites crl-file crt force-sslv3 force-tlsv10
syntax keyword oneloopServerRefused contained force-tlsv11 force-tlsv12 force-tlsv13 init-addr
syntax keyword oneloopServerRefused contained log-proto max-reuse namespace no-check-ssl no-ssl
syntax keyword oneloopServerRefused contained no-ssl-reuse no-sslv3 no-tls-tickets no-tlsv10
syntax keyword oneloopServerRefused contained no-tlsv11 no-tlsv12 no-tlsv13 non-stick npn proto
syntax keyword oneloopServerRefused contained redir resolve-net resolve-opts resolve-prefer
syntax keyword oneloopServerRefused contained resolvers sni socks4 ssl ssl-max-ver ssl-min-ver
syntax keyword oneloopServerRefused contained ssl-reuse stick tls-tickets usesrc verify verifyhost
syntax keyword oneloopServerRefused contained ws

syntax match oneloopCondition /\s\@<=\(if\|unless\)\s\@=/
syntax match oneloopNumber /\<\d\+\(us\|ms\|[smhdkKgG]\)\?\>/
syntax match oneloopVariable /\${\?\h\w*\(-[^}]*\)\?}\?/
syntax match oneloopSample /%\[[^]]*\]/
syntax region oneloopString start=/"/ skip=/\\"/ end=/"/ oneline contains=oneloopVariable,oneloopSample
syntax region oneloopString start=/'/ end=/'/ oneline contains=oneloopSample
syntax match oneloopComment /\(^\|\s\)\@<=#.*$/

highlight default link oneloopSection Structure
highlight default link oneloopKeyword Statement
highlight default link oneloopCondition Conditional
highlight default link oneloopNumber Number
highlight default link oneloopVariable PreProc
highlight default link oneloopSample Special
highlight default link oneloopString String
highlight default link oneloopComment Comment
highlight default link oneloopRefused Error
highlight default link oneloopOption Type
highlight default link oneloopOptionRefused Error
highlight default link oneloopTimeout Type
highlight default link oneloopTimeoutRefused Error
highlight default link oneloopRequest Type
highlight default link oneloopRequestRefused Error
highlight default link oneloopResponse Type
highlight default link oneloopResponseRefused Error
highlight default link oneloopBind Type
highlight default link oneloopBindRefused Error
highlight default link oneloopSocket Type
highlight default link oneloopSocketRefused Error
highlight default link oneloopServer Type
highlight default link oneloopServerRefused Error

let b:current_syntax = 'oneloop'
