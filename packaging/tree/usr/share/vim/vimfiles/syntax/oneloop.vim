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
syntax keyword oneloopKeyword contained error-log-format errorfile force-persist fullconn gid
syntax keyword oneloopKeyword contained group hard-stop-after hash-balance-factor hash-type
syntax keyword oneloopKeyword contained http-check http-request http-response http-reuse id
syntax keyword oneloopKeyword contained ignore-persist load-server-state-from-file localpeer log
syntax keyword oneloopKeyword contained log-format log-send-hostname log-tag master-worker maxconn
syntax keyword oneloopKeyword contained maxpipes mode monitor-uri mworker-max-reloads nbthread
syntax keyword oneloopKeyword contained node nosplice numa-cpu-mapping option pidfile presetenv
syntax keyword oneloopKeyword contained quiet redirect resetenv retries server server-state-base
syntax keyword oneloopKeyword contained server-state-file server-state-file-name set-dumpable
syntax keyword oneloopKeyword contained setenv source spread-checks srvtcpka-cnt srvtcpka-idle
syntax keyword oneloopKeyword contained srvtcpka-intvl ssl-default-bind-ciphers
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
syntax keyword oneloopRefused contained expose-experimental-directives external-check fcgi-app
syntax keyword oneloopRefused contained fd-hard-limit filter grace
syntax keyword oneloopRefused contained h1-accept-payload-with-any-method h1-case-adjust
syntax keyword oneloopRefused contained h1-case-adjust-file h2-workaround-bogus-websocket-clients
syntax keyword oneloopRefused contained http-after-response http-error http-errors
syntax keyword oneloopRefused contained http-send-name-header httpclient.resolvers.id
syntax keyword oneloopRefused contained httpclient.resolvers.prefer httpclient.ssl.ca-file
syntax keyword oneloopRefused contained httpclient.ssl.verify insecure-fork-wanted
syntax keyword oneloopRefused contained insecure-setuid-wanted issuers-chain-path log-format-sd
syntax keyword oneloopRefused contained log-forward lua-load lua-load-per-thread lua-prepend-path
syntax keyword oneloopRefused contained mailers max-keep-alive-queue max-spread-checks
syntax keyword oneloopRefused contained maxcompcpuusage maxcomprate maxconnrate maxsessrate
syntax keyword oneloopRefused contained maxsslconn maxsslrate maxzlibmem monitor monitor-net
syntax keyword oneloopRefused contained namespace_list nbproc no-memory-trimming noepoll noevports
syntax keyword oneloopRefused contained nogetaddrinfo nokqueue nopoll noreuseport peers persist
syntax keyword oneloopRefused contained pp2-never-send-local profiling.tasks program rate-limit
syntax keyword oneloopRefused contained redispatch reqadd reqallow reqdel reqdeny reqiallow
syntax keyword oneloopRefused contained reqidel reqideny reqipass reqirep reqitarpit reqpass
syntax keyword oneloopRefused contained reqrep reqtarpit resolvers retry-on ring rspadd rspdel
syntax keyword oneloopRefused contained rspdeny rspidel rspideny rspirep rsprep server-template
syntax keyword oneloopRefused contained set-var set-var-fmt srvexp srvtimeout ssl-dh-param-file
syntax keyword oneloopRefused contained ssl-load-extra-del-ext ssl-load-extra-files ssl-mode-async
syntax keyword oneloopRefused contained ssl-propquery ssl-provider ssl-provider-path
syntax keyword oneloopRefused contained ssl-server-verify ssl-skip-self-issued-ca stick
syntax keyword oneloopRefused contained stick-table tcp-response tune.buffers.limit
syntax keyword oneloopRefused contained tune.buffers.reserve tune.chksize tune.comp.maxlevel
syntax keyword oneloopRefused contained tune.fail-alloc tune.fd.edge-triggered
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
syntax keyword oneloopOption contained clitcpka dontlog-normal dontlognull forwardfor
syntax keyword oneloopOption contained http-keep-alive http-server-close httpchk httpclose httplog
syntax keyword oneloopOption contained ldap-check log-health-checks log-separate-errors logasap
syntax keyword oneloopOption contained mysql-check nolinger persist pgsql-check redis-check
syntax keyword oneloopOption contained redispatch smtpchk socket-stats splice-auto splice-request
syntax keyword oneloopOption contained splice-response srvtcpka tcp-check tcp-smart-accept
syntax keyword oneloopOption contained tcp-smart-connect tcpka tcplog
syntax keyword oneloopOptionRefused contained checkcache contstats disable-h2-upgrade
syntax keyword oneloopOptionRefused contained external-check forceclose
syntax keyword oneloopOptionRefused contained h1-case-adjust-bogus-client
syntax keyword oneloopOptionRefused contained h1-case-adjust-bogus-server http-buffer-request
syntax keyword oneloopOptionRefused contained http-ignore-probes http-no-delay
syntax keyword oneloopOptionRefused contained http-pretend-keepalive http-restrict-req-hdr-names
syntax keyword oneloopOptionRefused contained http-tunnel http-use-proxy-header httpslog
syntax keyword oneloopOptionRefused contained idle-close-on-response independent-streams
syntax keyword oneloopOptionRefused contained originalto prefer-last-server spop-check
syntax keyword oneloopOptionRefused contained ssl-hello-chk
syntax match oneloopOptionRefused contained /\<transparent\>/

" The word after timeout.
syntax match oneloopTimeoutWord /\(^\s*\(\(no\|default\)\s\+\)\?timeout\s\+\)\@<=\S\+/ contains=oneloopTimeout,oneloopTimeoutRefused
syntax keyword oneloopTimeout contained check client client-fin connect http-keep-alive
syntax keyword oneloopTimeout contained http-request queue server server-fin tunnel
syntax keyword oneloopTimeoutRefused contained clitimeout contimeout srvtimeout tarpit

" The word after http-request.
syntax match oneloopRequestWord /\(^\s*\(\(no\|default\)\s\+\)\?http-request\s\+\)\@<=\S\+/ contains=oneloopRequest,oneloopRequestRefused
syntax keyword oneloopRequest contained add-header allow del-header deny redirect replace-header
syntax keyword oneloopRequest contained replace-path replace-pathq replace-uri replace-value
syntax keyword oneloopRequest contained return set-header set-method set-path set-pathq set-query
syntax keyword oneloopRequest contained set-uri use-service
syntax keyword oneloopRequestRefused contained add-acl auth cache-use capture del-acl del-map
syntax keyword oneloopRequestRefused contained disable-l7-retry do-resolve early-hint
syntax keyword oneloopRequestRefused contained normalize-uri ot-group reject sc-inc-gpc
syntax keyword oneloopRequestRefused contained sc-inc-gpc0 sc-inc-gpc1 sc-set-gpt sc-set-gpt0
syntax keyword oneloopRequestRefused contained send-spoe-group set-dst set-dst-port set-log-level
syntax keyword oneloopRequestRefused contained set-map set-mark set-nice set-priority-class
syntax keyword oneloopRequestRefused contained set-priority-offset set-src set-src-port
syntax keyword oneloopRequestRefused contained set-timeout set-tos set-var set-var-fmt silent-drop
syntax keyword oneloopRequestRefused contained strict-mode tarpit track-sc track-sc0 track-sc1
syntax keyword oneloopRequestRefused contained track-sc2 unset-var wait-for-body
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
syntax keyword oneloopServer contained agent-send backup check check-send-proxy cookie
syntax keyword oneloopServer contained disabled downinter enabled error-limit fall fastinter
syntax keyword oneloopServer contained first-check-before-traffic id inter maxconn maxqueue
syntax keyword oneloopServer contained minconn no-agent-check no-backup no-check
syntax keyword oneloopServer contained no-check-send-proxy no-send-proxy no-send-proxy-v2
syntax keyword oneloopServer contained no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn no-tfo
syntax keyword oneloopServer contained observe on-error on-marked-down on-marked-up
syntax keyword oneloopServer contained pool-low-conn pool-max-conn pool-purge-delay port
syntax keyword oneloopServer contained proxy-v2-options rise send-proxy send-proxy-v2
syntax keyword oneloopServer contained send-proxy-v2-ssl send-proxy-v2-ssl-cn slowstart
syntax keyword oneloopServer contained source tcp-ut tfo track weight
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
