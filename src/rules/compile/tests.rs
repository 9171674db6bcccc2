//! What is said of lines, good and bad.

use crate::rules::action::{compile_redirect_keyword, compile_request_rule, compile_response_rule};
use crate::rules::compile::Problem;
use crate::rules::condition::Acl;
use crate::rules::tests::{Around, printed, slices, words};

/// Lines of a backend `b`, and what HAProxy 2.6 says of them after `parsing [F:10]`.
#[rustfmt::skip]
const LINES: &[(&str, &str)] = &[
    ("acl a path_begin /x", " : error detected while parsing ACL 'a' : unknown fetch method 'path_begin' in ACL expression 'path_begin'."),
    ("acl a path,foo /x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : unknown converter 'foo'.."),
    ("acl a path(x) /x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : expected ')' before 'x)'."),
    ("acl a hdr(host", " : error detected while parsing ACL 'a' : ACL keyword 'hdr' : expected ')'."),
    ("acl a hdr(host,1,2) x", " : error detected while parsing ACL 'a' : ACL keyword 'hdr' : expected ')' before ',2)'."),
    ("acl a hdr(host,x) x", " : error detected while parsing ACL 'a' : ACL keyword 'hdr' : failed to parse 'x' as type 'integer' at position 2."),
    ("acl a path", ""),
    ("acl a path_reg (a", " : error detected while parsing ACL 'a' : regex '(a' is invalid (error=missing closing parenthesis, erroffset=2)."),
    ("acl a path_reg -i [a", " : error detected while parsing ACL 'a' : regex '[a' is invalid (error=missing terminating ] for character class, erroffset=2)."),
    ("acl a src 1.2.3.4.5", " : error detected while parsing ACL 'a' : '1.2.3.4.5' is not a valid IPv4 or IPv6 address."),
    ("acl a src foo.invalid", " : error detected while parsing ACL 'a' : 'foo.invalid' is not a valid IPv4 or IPv6 address."),
    ("acl a src 1.2.3.0/33", " : error detected while parsing ACL 'a' : '1.2.3.0/33' is not a valid IPv4 or IPv6 address."),
    ("acl a dst_port x", " : error detected while parsing ACL 'a' : 'x' is not a number."),
    ("acl a dst_port 10:x", " : error detected while parsing ACL 'a' : '10:x' is not a valid number range."),
    ("acl a dst_port gt", ""),
    ("acl a dst_port gt x", " : error detected while parsing ACL 'a' : 'x' is neither a number nor a supported operator."),
    ("acl a path -m foo x", " : error detected while parsing ACL 'a' : unknown matching method 'foo' when parsing ACL expression."),
    ("acl a path -m", " : error detected while parsing ACL 'a' : unknown matching method '' when parsing ACL expression."),
    ("acl a path -f /nonexistent", " : error detected while parsing ACL 'a' : failed to open pattern file </nonexistent>."),
    ("acl a path -x foo", " : error detected while parsing ACL 'a' : '-x' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'."),
    ("acl a! path /x", " : character '!' is not permitted in acl name 'a!'."),
    ("acl a", " : error detected while parsing ACL 'a' : missing fetch method in ACL expression ''."),
    ("acl or path /x", " : acl name 'or' will never match. 'or' is used to express a logical disjunction within a condition."),
    ("acl a path,lower -m beg /x", ""),
    ("acl a path,length gt 3", ""),
    ("acl a src,lower x", ""),
    ("acl a bin(41) x", " : error detected while parsing ACL 'a' : matching method must be specified first (using '-m') when using a sample fetch of this type ('bin')."),
    ("acl a path,field(1) x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 2 in converter 'field' : missing arguments (got 1/2), type 'string' expected.."),
    ("acl a path,field(x,/) x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 1 in converter 'field' : failed to parse 'x' as type 'integer' at position 1.."),
    ("acl a path,bytes(a) x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 1 in converter 'bytes' : failed to parse 'a' as type 'integer' at position 1.."),
    ("acl a path_len x", " : error detected while parsing ACL 'a' : 'x' is not a number."),
    ("acl a ssl_fc", ""),
    ("acl a path,lower(x) a", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 1 in converter 'lower' : expected ')' before 'x)'.."),
    ("acl a hdr_beg(host),lower www", ""),
    ("acl a path,regsub(x) y", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 2 in converter 'regsub' : missing arguments (got 1/2), type 'string' expected.."),
    ("acl a int(x) 1", " : error detected while parsing ACL 'a' : fetch method 'int' : failed to parse 'x' as type 'integer' at position 1 in ACL expression 'int(x)'."),
    ("acl a bool(maybe)", " : error detected while parsing ACL 'a' : invalid args in fetch method 'bool' : Expects 'true', 'false', '0' or '1' in ACL expression 'bool(maybe)'."),
    ("acl a ipv4(x) 1.1.1.1", " : error detected while parsing ACL 'a' : fetch method 'ipv4' : failed to parse 'x' as type 'IPv4 address' at position 1 in ACL expression 'ipv4(x)'."),
    ("acl a env(HOME) x", ""),
    ("acl a url_param(a,bb) x", ""),
    ("acl a url_param x", ""),
    ("acl a method FOO -i get", ""),
    ("acl a status 200", ""),
    ("acl a date(-1,xx) gt 5", " : error detected while parsing ACL 'a' : invalid args in fetch method 'date' : expects 's', 'ms' or 'us', got 'xx' in ACL expression 'date(-1,xx)'."),
    ("acl a path -m bool", ""),
    ("acl a src -m str 1.2.3.4", ""),
    ("acl a always_true -m ip 1.1.1.1", " : error detected while parsing ACL 'a' : matching method 'ip' cannot be used with fetch keyword 'always_true'."),
    ("acl a method -m bool", " : error detected while parsing ACL 'a' : matching method 'bool' cannot be used with fetch keyword 'method'."),
    ("acl a path -m bin 4", " : error detected while parsing ACL 'a' : an even number of hex digit is expected."),
    ("acl a path -m bin 4x", " : error detected while parsing ACL 'a' : an hex digit is expected (found 'x')."),
    ("acl a path -m reg -- -i", ""),
    ("http-request set-header X %[path,foo]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <path,foo]> : unknown converter 'foo'."),
    ("http-request set-header X %[pathh]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <pathh]> : unknown fetch method 'pathh'."),
    ("http-request set-header X %[hdr(a]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <hdr(a]> : fetch method 'hdr' : expected ')'."),
    ("http-request set-header X %[hdr(a)x]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : expected ']' after 'hdr(a)', but found 'x'."),
    ("http-request set-header X %[path,regsub(x)]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <path,regsub(x)]> : invalid arg 2 in converter 'regsub' : missing arguments (got 1/2), type 'string' expected."),
    ("http-request set-header X %[int(x)]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <int(x)]> : fetch method 'int' : failed to parse 'x' as type 'integer' at position 1."),
    ("http-request set-header X %[bool(x)]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <bool(x)]> : invalid args in fetch method 'bool' : Expects 'true', 'false', '0' or '1'."),
    ("http-request set-header X %[path", " : error detected in backend 'b' while parsing 'http-request set-header' rule : missing ']' after 'path'."),
    ("http-request set-header X %foo", " : error detected in backend 'b' while parsing 'http-request set-header' rule : no such format variable 'foo'. If you wanted to emit the '%' character verbatim, you need to use '%%'."),
    ("http-request set-header X %{+Z}ci", ""),
    ("http-request set-header X %{+Q", " : error detected in backend 'b' while parsing 'http-request set-header' rule : truncated line after '+Q'."),
    ("http-request set-header X %", " : error detected in backend 'b' while parsing 'http-request set-header' rule : truncated line after '%'."),
    ("http-request set-header X 100%", " : error detected in backend 'b' while parsing 'http-request set-header' rule : truncated line after '%'."),
    ("http-request set-header X %ci%%", ""),
    ("http-request set-header X %[status]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : sample fetch <status]> may not be reliably used here because it needs 'HTTP response' which is not available here."),
    ("http-request set-header X %[ssl_fc]", ""),
    ("http-response set-header X %[path]", " : error detected in backend 'b' while parsing 'http-response set-header' rule : sample fetch <path]> may not be reliably used here because it needs 'HTTP request headers' which is not available here."),
    ("http-response set-header X %[status]", ""),
    ("http-request set-header", " : error detected in backend 'b' while parsing 'http-request set-header' rule : expects exactly 2 arguments."),
    ("http-request set-header X", " : error detected in backend 'b' while parsing 'http-request set-header' rule : expects exactly 2 arguments."),
    ("http-request set-header X a b", ": 'http-request set-header' expects either 'if' or 'unless' followed by a condition but found 'b'."),
    ("http-request set-header X a if", ""),
    ("http-request set-header X a if nope", " : error detected while parsing an 'http-request set-header' condition : no such ACL : 'nope'."),
    ("http-request set-header X a if { path_begg /x }", " : error detected while parsing an 'http-request set-header' condition : unknown fetch method 'path_begg' in ACL expression 'path_begg'."),
    ("http-request set-header X a if { path_beg /x", " : error detected while parsing an 'http-request set-header' condition : missing closing '}' in condition."),
    ("http-request set-header X a if { }", " : error detected while parsing an 'http-request set-header' condition : missing fetch method in ACL expression ''."),
    ("http-request set-header X a if { path_beg /x } or", ""),
    ("http-request set-header X a if || TRUE", ""),
    ("http-request set-header X a if !", ""),
    ("http-request set-header X a iff TRUE", ": 'http-request set-header' expects either 'if' or 'unless' followed by a condition but found 'iff'."),
    ("http-request set-header X a if TRUE and FALSE", " : error detected while parsing an 'http-request set-header' condition : no such ACL : 'and'."),
    ("http-request set-header X a if {path_beg /x}", " : error detected while parsing an 'http-request set-header' condition : no such ACL : '{path_beg'."),
    ("http-request foo", ": 'http-request' expects ..., but got 'foo'."),
    ("http-request", ": 'http-request' expects ..., but got '' (missing argument)."),
    ("http-request replace-path (a b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '(a' is invalid (error=missing closing parenthesis, erroffset=2)."),
    ("http-request replace-path a", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : expects exactly 2 arguments <match-regex> and <replace-format>."),
    ("http-request replace-path a \\\\1", ""),
    ("http-request replace-header X a", " : error detected in backend 'b' while parsing 'http-request replace-header' rule : expects exactly 3 arguments."),
    ("http-request replace-header X (a b", " : error detected in backend 'b' while parsing 'http-request replace-header' rule : regex '(a' is invalid (error=missing closing parenthesis, erroffset=2)."),
    ("http-request replace-value X (a b if TRUE", " : error detected in backend 'b' while parsing 'http-request replace-value' rule : regex '(a' is invalid (error=missing closing parenthesis, erroffset=2)."),
    ("http-request del-header", " : error detected in backend 'b' while parsing 'http-request del-header' rule : expects at least 1 argument."),
    ("http-request del-header X -m foo", " : error detected in backend 'b' while parsing 'http-request del-header' rule : -m with unsupported matching method 'foo'."),
    ("http-request del-header X -m reg", ""),
    ("http-request del-header ( -m reg", " : error detected in backend 'b' while parsing 'http-request del-header' rule : regex '(' is invalid (error=missing closing parenthesis, erroffset=1)."),
    ("http-request del-header X Y", ": 'http-request del-header' expects either 'if' or 'unless' followed by a condition but found 'Y'."),
    ("http-request set-path", " : error detected in backend 'b' while parsing 'http-request set-path' rule : expects exactly 1 argument <format>."),
    ("http-request set-path /%[foo]", " : error detected in backend 'b' while parsing 'http-request set-path' rule : failed to parse sample expression <foo]> : unknown fetch method 'foo'."),
    ("http-request set-method", " : error detected in backend 'b' while parsing 'http-request set-method' rule : expects exactly 1 argument <format>."),
    ("http-request deny foo", ": 'http-request deny' expects either 'if' or 'unless' followed by a condition but found 'foo'."),
    ("http-request deny deny_status 700", " : error detected in backend 'b' while parsing 'http-request deny' rule : Unexpected status code '700'."),
    ("http-request deny deny_status 418", " : error detected in backend 'b' while parsing 'http-request deny' rule : status code '418' not handled by default with 'default-errorfiles' argument.."),
    ("http-request deny deny_status abc", " : error detected in backend 'b' while parsing 'http-request deny' rule : Unexpected status code '0'."),
    ("http-request deny status 403 status 404", ""),
    ("http-request deny deny_status", " : error detected in backend 'b' while parsing 'http-request deny' rule : 'status' expects <status_code> as argument."),
    ("http-request deny content-type text/plain", ""),
    ("http-request deny string x", " : error detected in backend 'b' while parsing 'http-request deny' rule : a content type must be defined when non-empty payload is configured."),
    ("http-request deny content-type text/plain string x", ""),
    ("http-request deny status 200 string x content-type a", ""),
    ("http-request deny status 99", " : error detected in backend 'b' while parsing 'http-request deny' rule : Unexpected status code '99'."),
    ("http-request deny status 99999", " : error detected in backend 'b' while parsing 'http-request deny' rule : Unexpected status code '99999'."),
    ("http-request return", ""),
    ("http-request return status 200", ""),
    ("http-request return string x", " : error detected in backend 'b' while parsing 'http-request return' rule : a content type must be defined when non-empty payload is configured."),
    ("http-request return content-type a string x file y", " : error detected in backend 'b' while parsing 'http-request return' rule : unexpected 'file' argument, 'string' already defined."),
    ("http-request return content-type a file /nope", " : error detected in backend 'b' while parsing 'http-request return' rule : error opening file '/nope'."),
    ("http-request return errorfile /nope", " : error detected in backend 'b' while parsing 'http-request return' rule : error opening file '/nope'.."),
    ("http-request return status 404 errorfile /etc/haproxy/errors/403.http", ""),
    ("http-request return status 404 default-errorfiles", ""),
    ("http-request return hdr X y", ""),
    ("http-request return hdr X", " : error detected in backend 'b' while parsing 'http-request return' rule : 'hdr' expects <name> and <value> as arguments."),
    ("http-request return hdr X %[foo] string x content-type a", " : error detected in backend 'b' while parsing 'http-request return' rule : failed to parse sample expression <foo]> : unknown fetch method 'foo'."),
    ("http-request return content-type a lf-string %[foo]", " : error detected in backend 'b' while parsing 'http-request return' rule : failed to parse sample expression <foo]> : unknown fetch method 'foo'."),
    ("http-request return foo", ": 'http-request return' expects either 'if' or 'unless' followed by a condition but found 'foo'."),
    ("http-request return errorfile /etc/hostname", " : error detected in backend 'b' while parsing 'http-request return' rule : '/etc/hostname': unable to parse headers (error offset: 0)."),
    ("http-request return string", " : error detected in backend 'b' while parsing 'http-request return' rule : 'string' expects <str> as argument."),
    ("http-request return status 100", " : error detected in backend 'b' while parsing 'http-request return' rule : Unexpected status code '100'."),
    ("http-request redirect", " : error detected in backend 'b' while parsing 'http-request redirect' rule : redirection type expected ('prefix', 'location', or 'scheme')."),
    ("http-request redirect foo", " : error detected in backend 'b' while parsing 'http-request redirect' rule : expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or 'append-slash' (was 'foo')."),
    ("http-request redirect location", " : error detected in backend 'b' while parsing 'http-request redirect' rule : missing argument for 'location'."),
    ("http-request redirect location /x code 305", " : error detected in backend 'b' while parsing 'http-request redirect' rule : 'code': unsupported HTTP code '305' (must be one of 301, 302, 303, 307 or 308)."),
    ("http-request redirect location /x code", " : error detected in backend 'b' while parsing 'http-request redirect' rule : missing argument for 'code'."),
    ("http-request redirect location /x foo", " : error detected in backend 'b' while parsing 'http-request redirect' rule : expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or 'append-slash' (was 'foo')."),
    ("http-request redirect location %[foo]", " : error detected in backend 'b' while parsing 'http-request redirect' rule : failed to parse sample expression <foo]> : unknown fetch method 'foo'."),
    ("http-request redirect prefix / drop-query append-slash set-cookie a=b clear-cookie c", ""),
    ("http-request redirect scheme https if !{ ssl_fc }", ""),
    ("http-request redirect code 301", " : error detected in backend 'b' while parsing 'http-request redirect' rule : redirection type expected ('prefix', 'location', or 'scheme')."),
    ("http-request redirect location /x clear-cookie", " : error detected in backend 'b' while parsing 'http-request redirect' rule : missing argument for 'clear-cookie'."),
    ("http-request allow foo", ": 'http-request allow' expects either 'if' or 'unless' followed by a condition but found 'foo'."),
    ("http-request allow", ""),
    ("http-response set-status", " : error detected in backend 'b' while parsing 'http-response set-status' rule : expects 1 argument: <status>; or 3 arguments: <status> reason <fmt>."),
    ("http-response set-status abc", " : error detected in backend 'b' while parsing 'http-response set-status' rule : expects an integer status code between 100 and 999."),
    ("http-response set-status 200 reason", ": 'http-response set-status' expects either 'if' or 'unless' followed by a condition but found 'reason'."),
    ("http-response set-status 200 reason \"a b\" if TRUE", ""),
    ("http-response set-status 99", " : error detected in backend 'b' while parsing 'http-response set-status' rule : expects an integer status code between 100 and 999."),
    ("http-response set-status 1000", " : error detected in backend 'b' while parsing 'http-response set-status' rule : expects an integer status code between 100 and 999."),
    ("http-response foo", ": 'http-response' expects ..., but got 'foo'."),
    ("http-response deny", ""),
    ("http-response redirect location /x", ""),
    ("http-response redirect prefix /x", " : error detected in backend 'b' while parsing 'http-response redirect' rule : response only supports redirect type 'location'."),
    ("http-response return status 200", ""),
    ("http-response set-header X a if METH_GET", ""),
    ("http-request set-query", " : error detected in backend 'b' while parsing 'http-request set-query' rule : expects exactly 1 argument <format>."),
    ("http-request set-uri x", ""),
    ("http-request replace-pathq (a", " : error detected in backend 'b' while parsing 'http-request replace-pathq' rule : expects exactly 2 arguments <match-regex> and <replace-format>."),
    ("http-request replace-uri a b", ""),
    ("http-request add-header X \"\"", " : error detected in backend 'b' while parsing 'http-request add-header' rule : expects exactly 2 arguments."),
    ("http-request set-header \"\" a", " : error detected in backend 'b' while parsing 'http-request set-header' rule : expects exactly 2 arguments."),
    ("http-request sett-header X a", ": 'http-request' expects ..., but got 'sett-header'. Did you mean 'set-header' maybe ?"),
    ("http-request replace-path *a b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '*a' is invalid (error=quantifier does not follow a repeatable item, erroffset=0)."),
    ("http-request replace-path a** b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'a**' is invalid (error=quantifier does not follow a repeatable item, erroffset=2)."),
    ("http-request replace-path a) b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'a)' is invalid (error=unmatched closing parenthesis, erroffset=1)."),
    ("http-request replace-path a{2,1} b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'a{2,1}' is invalid (error=numbers out of order in {} quantifier, erroffset=5)."),
    ("http-request replace-path [z-a] b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '[z-a]' is invalid (error=range out of order in character class, erroffset=3)."),
    ("http-request replace-path [[:foo:]] b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '[[:foo:]]' is invalid (error=unknown POSIX class name, erroffset=3)."),
    ("http-request replace-path \\\\\\\\ b", ""),
    ("http-request replace-path a\\\\y b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'a\\y' is invalid (error=unrecognized character follows \\, erroffset=2)."),
    ("http-request replace-path x{99999} b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'x{99999}' is invalid (error=number too big in {} quantifier, erroffset=7)."),
    ("http-request replace-path (?z) b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '(?z)' is invalid (error=unrecognized character after (? or (?-, erroffset=2)."),
    ("http-request replace-path a|*b b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'a|*b' is invalid (error=quantifier does not follow a repeatable item, erroffset=2)."),
    ("http-request replace-path ^* b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '^*' is invalid (error=quantifier does not follow a repeatable item, erroffset=1)."),
    ("http-request replace-path $* b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '$*' is invalid (error=quantifier does not follow a repeatable item, erroffset=1)."),
    ("http-request replace-path \\\\b* b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '\\b*' is invalid (error=quantifier does not follow a repeatable item, erroffset=2)."),
    ("http-request replace-path (*) b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '(*)' is invalid (error=quantifier does not follow a repeatable item, erroffset=1)."),
    ("http-request replace-path (?:*) b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '(?:*)' is invalid (error=quantifier does not follow a repeatable item, erroffset=3)."),
    ("http-request replace-path a+++ b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'a+++' is invalid (error=quantifier does not follow a repeatable item, erroffset=3)."),
    ("http-request replace-path [a b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '[a' is invalid (error=missing terminating ] for character class, erroffset=2)."),
    ("http-request replace-path [a\\\\ b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '[a\\' is invalid (error=\\ at end of pattern, erroffset=3)."),
    ("http-request replace-path a\\\\ b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex 'a\\' is invalid (error=\\ at end of pattern, erroffset=2)."),
    ("http-request replace-path \\\\x{100} b", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '\\x{100}' is invalid (error=character code point value in \\x{} or \\o{} is too large, erroffset=6)."),
    ("http-request replace-path /app1(/?(.* /", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '/app1(/?(.*' is invalid (error=missing closing parenthesis, erroffset=11)."),
    ("http-request set-header X 1 if { path,lower,foo x }", " : error detected while parsing an 'http-request set-header' condition : ACL keyword 'path' : unknown converter 'foo'.."),
    ("http-request set-header X 1 if { path_beg(x) x }", " : error detected while parsing an 'http-request set-header' condition : ACL keyword 'path_beg' : expected ')' before 'x)'."),
    ("http-request set-header X 1 if { hdr(a)x y }", " : error detected while parsing an 'http-request set-header' condition : ACL keyword 'hdr' : missing comma after fetch keyword.."),
    ("http-request set-header X 1 if { int(1)x y }", " : error detected while parsing an 'http-request set-header' condition : missing comma after fetch keyword 'int' in ACL expression 'int(1)x'."),
    ("http-request set-header X 1 if { path,lowerx y }", " : error detected while parsing an 'http-request set-header' condition : ACL keyword 'path' : unknown converter 'lowerx'.."),
    ("http-request set-header X 1 if { path,lower)x y }", " : error detected while parsing an 'http-request set-header' condition : ACL keyword 'path' : missing comma after converter 'lower'.."),
    ("http-request set-header X 1 if { env x }", ""),
    ("http-request set-header X 1 if { capture.req.hdr x }", " : error detected while parsing an 'http-request set-header' condition : fetch method 'capture.req.hdr' : expected type 'integer' at position 1, but got nothing in ACL expression 'capture.req.hdr'."),
    ("http-request set-header X 1 if { int }", " : error detected while parsing an 'http-request set-header' condition : fetch method 'int' : expected type 'integer' at position 1, but got nothing in ACL expression 'int'."),
    ("http-request set-header X 1 if { bool }", " : error detected while parsing an 'http-request set-header' condition : invalid args in fetch method 'bool' : Expects 'true', 'false', '0' or '1' in ACL expression 'bool'."),
    ("http-request set-header X 1 if { path_beg. }", " : error detected while parsing an 'http-request set-header' condition : unknown fetch method 'path_beg.' in ACL expression 'path_beg.'."),
    ("http-request set-header X 1 if { ,lower x }", " : error detected while parsing an 'http-request set-header' condition : missing fetch method in ACL expression ',lower'."),
    ("http-request set-header X 1 if { (x) x }", " : error detected while parsing an 'http-request set-header' condition : missing fetch method in ACL expression '(x)'."),
    ("http-request set-header X 1 if { path -f /etc/hostname -m beg }", " : error detected while parsing an 'http-request set-header' condition : '-m' must only be specified before patterns and files in parsing ACL expression."),
    ("http-request set-header X 1 if { int(5) 4 x }", " : error detected while parsing an 'http-request set-header' condition : 'x' is not a number."),
    ("http-request set-header X 1 if { int(5) -m foo }", " : error detected while parsing an 'http-request set-header' condition : unknown matching method 'foo' when parsing ACL expression."),
    ("http-request set-header X 1 if { src 1.2.3.4/x }", " : error detected while parsing an 'http-request set-header' condition : '1.2.3.4/x' is not a valid IPv4 or IPv6 address."),
    ("http-request set-header X 1 if { src 1.2.3.4/255.255.0.0 }", ""),
    ("http-request set-header X 1 if { int(-5) -5 }", " : error detected while parsing an 'http-request set-header' condition : '-5' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'."),
    ("http-request set-header X 1 if { meth(POST) POST }", " : error detected while parsing an 'http-request set-header' condition : matching method must be specified first (using '-m') when using a sample fetch of this type ('meth')."),
    ("http-request set-header X 1 if { }", " : error detected while parsing an 'http-request set-header' condition : missing fetch method in ACL expression ''."),
    ("acl a dst_port 80:70", " : error detected while parsing ACL 'a' : '80:70' is not a valid number range."),
    ("acl a dst_port gt 80:70", " : error detected while parsing ACL 'a' : '80:70' is not a valid number range."),
    ("acl a dst_port eq x", " : error detected while parsing ACL 'a' : 'x' is not a number."),
    ("acl a dst_port eq 1:x", " : error detected while parsing ACL 'a' : '1:x' is not a valid number range."),
    ("acl a dst_port gt x:5", " : error detected while parsing ACL 'a' : 'x:5' is not a valid number range."),
    ("acl a dst_port ne 4", ""),
    ("acl a dst_port ne x", " : error detected while parsing ACL 'a' : 'x' is neither a number nor a supported operator."),
    ("acl a int(5) ne 4", ""),
    ("acl a dst_port 1-2", ""),
    ("acl a dst_port 1-2x", " : error detected while parsing ACL 'a' : '1-2x' is not a valid number range."),
    ("acl a dst_port 5-3", " : error detected while parsing ACL 'a' : '5-3' is not a valid number range."),
    ("acl a dst_port +5", " : error detected while parsing ACL 'a' : '+5' is not a number."),
    ("acl a dst_port :", " : error detected while parsing ACL 'a' : ':' is not a valid number range."),
    ("acl a dst_port 5 -i", " : error detected while parsing ACL 'a' : '-i' is not a valid number range."),
    ("acl a dst_port -- -", " : error detected while parsing ACL 'a' : '-' is not a valid number range."),
    ("acl a dst_port -- --", ""),
    ("acl a dst_port -- -5", ""),
    ("acl a dst_port -- -5:9", " : error detected while parsing ACL 'a' : '-5:9' is not a valid number range."),
    ("acl a dst_port 1:-5", " : error detected while parsing ACL 'a' : '1:-5' is not a valid number range."),
    ("acl a dst_port :-5", ""),
    ("acl a path -m len 5:2", " : error detected while parsing ACL 'a' : '5:2' is not a valid number range."),
    ("acl a path_len eq x", " : error detected while parsing ACL 'a' : 'x' is not a number."),
    ("http-request redirect location / code x", " : error detected in backend 'b' while parsing 'http-request redirect' rule : 'code': unsupported HTTP code 'x' (must be one of 301, 302, 303, 307 or 308)."),
    ("http-request redirect location / code 30x", " : error detected in backend 'b' while parsing 'http-request redirect' rule : 'code': unsupported HTTP code '30x' (must be one of 301, 302, 303, 307 or 308)."),
    ("redirect location / code x", " : error detected in backend 'b' while parsing redirect rule : 'code': unsupported HTTP code 'x' (must be one of 301, 302, 303, 307 or 308)."),
    ("redirect location / code 301x", ""),
    ("redirect prefix / code 0302", ""),
    ("http-request del-header a -m", " : error detected in backend 'b' while parsing 'http-request del-header' rule : -m flag expects exactly 1 argument."),
    ("http-request del-header a -m if TRUE", " : error detected in backend 'b' while parsing 'http-request del-header' rule : -m with unsupported matching method 'if'."),
    ("http-response del-header a -m", " : error detected in backend 'b' while parsing 'http-response del-header' rule : -m flag expects exactly 1 argument."),
    ("http-request replace-path a b c", " : error detected in backend 'b' while parsing 'http-request replace-path' rule : expects exactly 2 arguments <match-regex> and <replace-format>."),
    ("http-request replace-pathq a b c", " : error detected in backend 'b' while parsing 'http-request replace-pathq' rule : expects exactly 2 arguments <match-regex> and <replace-format>."),
    ("http-request replace-uri a b c if TRUE", " : error detected in backend 'b' while parsing 'http-request replace-uri' rule : expects exactly 2 arguments <match-regex> and <replace-format>."),
    ("http-request set-path a b", " : error detected in backend 'b' while parsing 'http-request set-path' rule : expects exactly 1 argument <format>."),
    ("http-request set-pathq a b", " : error detected in backend 'b' while parsing 'http-request set-pathq' rule : expects exactly 1 argument <format>."),
    ("http-request set-query a b", " : error detected in backend 'b' while parsing 'http-request set-query' rule : expects exactly 1 argument <format>."),
    ("http-request set-uri a b if TRUE", " : error detected in backend 'b' while parsing 'http-request set-uri' rule : expects exactly 1 argument <format>."),
    ("http-request set-method a b", " : error detected in backend 'b' while parsing 'http-request set-method' rule : expects exactly 1 argument <format>."),
    ("http-request set-method a if TRUE", ""),
    ("acl a path,regsub([,x) x", ": error in regex '[' in arg 1 of conversion keyword 'regsub' for ACL keyword 'path' in proxy 'b' : regex '[' is invalid (error=missing terminating ] for character class, erroffset=1)."),
    ("acl a hdr_beg(x),lower,regsub([,b) x", ": error in regex '[' in arg 1 of conversion keyword 'regsub' for ACL keyword 'req.hdr' in proxy 'b' : regex '[' is invalid (error=missing terminating ] for character class, erroffset=1)."),
    ("acl a req.hdr(x),regsub((x,b,g) x", ": error in regex '(x' in arg 1 of conversion keyword 'regsub' for ACL keyword 'req.hdr' in proxy 'b' : regex '(x' is invalid (error=missing closing parenthesis, erroffset=2)."),
    ("acl a path,regsub(,x) x", ": missing regex in arg 1 of conversion keyword 'regsub' for ACL keyword 'path' in proxy 'b'."),
    ("acl a path,regsub x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 2 in converter 'regsub' : missing arguments (got 1/2), type 'string' expected.."),
    ("acl a path,regsub() x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 2 in converter 'regsub' : missing arguments (got 1/2), type 'string' expected.."),
    ("acl a path,iif x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 2 in converter 'iif' : missing arguments (got 1/2), type 'string' expected.."),
    ("acl a path,regsub([,b),foo x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : unknown converter 'foo'.."),
    ("acl a path,regsub([,b),bytes(x) x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 1 in converter 'bytes' : failed to parse 'x' as type 'integer' at position 1.."),
    ("http-request deny if { path,regsub([,x) a }", ": error in regex '[' in arg 1 of conversion keyword 'regsub' for ACL keyword 'path' in proxy 'b' : regex '[' is invalid (error=missing terminating ] for character class, erroffset=1)."),
    ("http-request set-header a %[path,regsub([,x)]", ": error in regex '[' in arg 1 of conversion keyword 'regsub' for sample fetch keyword 'path' in http-request expression in proxy 'b' : regex '[' is invalid (error=missing terminating ] for character class, erroffset=1)."),
    ("http-request set-path %[path,regsub((x,x)]", ": error in regex '(x' in arg 1 of conversion keyword 'regsub' for sample fetch keyword 'path' in http-request expression in proxy 'b' : regex '(x' is invalid (error=missing closing parenthesis, erroffset=2)."),
    ("http-request return status 200 content-type a lf-string %[path,regsub([,x)]", ": error in regex '[' in arg 1 of conversion keyword 'regsub' for sample fetch keyword 'path' in http-request expression in proxy 'b' : regex '[' is invalid (error=missing terminating ] for character class, erroffset=1)."),
    ("http-response set-header a %[status,regsub([,x)]", ": error in regex '[' in arg 1 of conversion keyword 'regsub' for sample fetch keyword 'status' in http-response response in proxy 'b' : regex '[' is invalid (error=missing terminating ] for character class, erroffset=1)."),
    ("http-request deny if FALSEE", " : error detected while parsing an 'http-request deny' condition : no such ACL : 'FALSEE'."),
    ("http-request set-header a %[src,,lower]", ""),
    ("http-request set-header a %[hdr(a,-10)]", ""),
    ("http-request set-header a %[hdr(a,-11)]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <hdr(a,-11)]> : invalid args in fetch method 'hdr' : header occurrence must be >= -10."),
    ("http-request set-header a %[hdr_ip(a,-11)]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <hdr_ip(a,-11)]> : invalid args in fetch method 'hdr_ip' : header occurrence must be >= -10."),
    ("http-response set-header a %[res.hdr(a,-11)]", " : error detected in backend 'b' while parsing 'http-response set-header' rule : failed to parse sample expression <res.hdr(a,-11)]> : invalid args in fetch method 'res.hdr' : header occurrence must be >= -10."),
    ("http-request set-header a %[src,ipmask(33)]", " : error detected in backend 'b' while parsing 'http-request set-header' rule : failed to parse sample expression <src,ipmask(33)]> : invalid arg 1 in converter 'ipmask' : failed to parse '33' as type 'IPv4 mask' at position 1."),
    ("http-request set-header a %[int(1),div(0)]", ""),
    ("http-request set-header a %[int(1),add]", ""),
    ("acl a int(1),add() 1", ""),
    ("acl a path,field(1,/ x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 2 in converter 'field' : expected ')'.."),
    ("acl a path,bytes(1,2,3) x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 2 in converter 'bytes' : expected ')' before ',3)'.."),
    ("acl a path,field(1,/,2,3) x", " : error detected while parsing ACL 'a' : ACL keyword 'path' : invalid arg 3 in converter 'field' : expected ')' before ',3)'.."),
    ("acl a path_reg (?P<a", " : error detected while parsing ACL 'a' : regex '(?P<a' is invalid (error=syntax error in subpattern name (missing terminator?), erroffset=5)."),
    ("acl a path_reg [[:foo:]]", " : error detected while parsing ACL 'a' : regex '[[:foo:]]' is invalid (error=unknown POSIX class name, erroffset=3)."),
    ("acl a path_reg a{2,1}", " : error detected while parsing ACL 'a' : regex 'a{2,1}' is invalid (error=numbers out of order in {} quantifier, erroffset=5)."),
    ("http-response redirect prefix /x", " : error detected in backend 'b' while parsing 'http-response redirect' rule : response only supports redirect type 'location'."),
    ("http-response deny deny_status 400", ""),
    ("http-request redirect location / codee 301", " : error detected in backend 'b' while parsing 'http-request redirect' rule : expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or 'append-slash' (was 'codee')."),
    ("acl a hdr_val(a,-11) gt 1", " : error detected while parsing ACL 'a' : invalid args in fetch method 'hdr_val' : header occurrence must be >= -10 in ACL expression 'hdr_val(a,-11)'."),
    ("acl a hdr(a,-11) x", " : error detected while parsing ACL 'a' : in argument to 'hdr', header occurrence must be >= -10."),
    ("acl a req.fhdr(a,-11) x", " : error detected while parsing ACL 'a' : invalid args in fetch method 'req.fhdr' : header occurrence must be >= -10 in ACL expression 'req.fhdr(a,-11)'."),
    ("http-request set-header a %[int(1),and]", ""),
    ("http-request set-header a %[int(1),div]", ""),
    ("http-request set-header a %[int(1),mod]", ""),
    ("http-request return status 204 string a content-type b", " : error detected in backend 'b' while parsing 'http-request return' rule : No body expected for 204 responses."),
    ("http-request deny status 304 string a content-type b", " : error detected in backend 'b' while parsing 'http-request deny' rule : No body expected for 304 responses."),
    ("http-request return status 205 string a content-type b", ""),
    ("http-request return status 204 content-type b", ""),
    ("http-request return status 204 string a", " : error detected in backend 'b' while parsing 'http-request return' rule : No body expected for 204 responses."),
    ("http-request set-header a %{+Q}", " : error detected in backend 'b' while parsing 'http-request set-header' rule : parse argument modifier without variable name near '%{+Q}'."),
    ("http-request set-header a \"%{+Q} x\"", " : error detected in backend 'b' while parsing 'http-request set-header' rule : parse argument modifier without variable name near '%{+Q}'."),
    ("http-request set-header a %{}", " : error detected in backend 'b' while parsing 'http-request set-header' rule : parse argument modifier without variable name near '%{}'."),
    ("http-request return lf-string", " : error detected in backend 'b' while parsing 'http-request return' rule : 'lf-string' expects <fmt> as argument."),
    ("http-request return lf-file", " : error detected in backend 'b' while parsing 'http-request return' rule : 'lf-file' expects <file> as argument."),
    ("http-request return file", " : error detected in backend 'b' while parsing 'http-request return' rule : 'file' expects <file> as argument."),
    ("http-request return errorfile", " : error detected in backend 'b' while parsing 'http-request return' rule : 'errorfile' expects <fmt> as argument."),
];

fn compile(around: &mut Around, line: &str) -> Result<(), Problem> {
    let words = words(line);
    let (keyword, rest) = words.split_first().unwrap();
    let rest = slices(rest);
    around.compile(|compiler| match keyword.as_slice() {
        b"acl" => Acl::compile(&rest, compiler).map(drop),
        b"http-request" => compile_request_rule(&rest, compiler).map(drop),
        b"http-response" => compile_response_rule(&rest, compiler).map(drop),
        _ => compile_redirect_keyword(&rest, compiler).map(drop),
    })
}

fn around() -> Around {
    let mut around = Around::default();
    let forbidden = b"HTTP/1.0 403 Forbidden\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n<html>\n";
    around
        .files
        .insert("/etc/haproxy/errors/403.http", forbidden);
    around.files.insert("/etc/hostname", b"vm\n");
    around
}

#[test]
fn lines_are_judged_in_the_words_of_haproxy() {
    let mut around = around();
    let mut wrong = Vec::new();
    for (line, expected) in LINES {
        let mut said = match compile(&mut around, line) {
            Ok(()) => String::new(),
            Err(problem) => printed(&problem),
        };
        // The lists of all actions are left out of the table.
        if let (Some(start), Some(end)) = (said.find(" expects 'wait"), said.find(", but got ")) {
            said.replace_range(start + 9..end, "...");
        }
        if let (Some(start), Some(end)) = (said.find(" expects 'ot-group"), said.find(", but got "))
        {
            said.replace_range(start + 9..end, "...");
        }
        if said != *expected {
            wrong.push(format!("{line}\n  {said}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_line_makes_the_compiler_panic() {
    let mut around = around();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for (line, _) in LINES {
        for _ in 0..40 {
            // Cut, doubled and exchanged bytes of real lines reach most of the grammar.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bytes = line.as_bytes().to_vec();
            let at = (seed >> 33) as usize % bytes.len();
            match seed >> 61 {
                0 => bytes.truncate(at),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"%[](){}\\,:\"' -"[(seed >> 20) as usize % 14]),
                _ => bytes[at] = (seed >> 45) as u8,
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if !words(&text).is_empty() {
                let _ = compile(&mut around, &text);
            }
        }
    }
}

#[test]
fn lacking_actions_are_refused_by_name() {
    let mut around = around();
    for (line, expected) in [
        (
            "http-request set-var(txn.a) str(x)",
            ": 'http-request set-var(txn.a)' is not implemented by oneloop.",
        ),
        (
            "http-request track-sc0 src",
            ": 'http-request track-sc0' is not implemented by oneloop.",
        ),
        (
            "http-request tarpit",
            ": 'http-request tarpit' is not implemented by oneloop.",
        ),
        (
            "http-response set-log-level silent",
            ": 'http-response set-log-level' is not implemented by oneloop.",
        ),
        (
            "http-request set-header X %sslv",
            " : error detected in backend 'b' while parsing 'http-request set-header' rule : format variable 'sslv' is not implemented by oneloop.",
        ),
        (
            "http-request replace-path (?=a) b",
            " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '(?=a)' is invalid (error=look-ahead assertions are not supported: oneloop's regular expressions are linear-time, erroffset=0).",
        ),
        (
            "http-request replace-path (a)\\\\1 b",
            " : error detected in backend 'b' while parsing 'http-request replace-path' rule : failed to parse the regex : regex '(a)\\1' is invalid (error=back-references are not supported: oneloop's regular expressions are linear-time, erroffset=3).",
        ),
        (
            "acl a ssl_fc_sni x",
            " : error detected while parsing ACL 'a' : fetch method 'ssl_fc_sni' is not implemented by oneloop in ACL expression 'ssl_fc_sni'.",
        ),
        (
            "redirect location",
            " : error detected in backend 'b' while parsing redirect rule : missing argument for 'location'.",
        ),
        (
            "redirect location /x if nope",
            " : error detected in backend 'b' while parsing redirect rule : error in condition: no such ACL : 'nope'.",
        ),
        (
            "acl a nbsrv(nope) gt 1",
            ": unable to find backend 'nope' referenced in arg 1 of ACL keyword 'nbsrv' in proxy 'b'.",
        ),
        (
            "http-request set-header X %[nbsrv(nope)]",
            ": unable to find backend 'nope' referenced in arg 1 of sample fetch keyword 'nbsrv' in http-request expression in proxy 'b'.",
        ),
        (
            "http-request set-header X %[fe_conn]",
            ": proxy 'b', referenced in arg 1 of sample fetch keyword 'fe_conn' in http-request expression in proxy 'b', has not frontend capability.",
        ),
        (
            "http-request set-header X 1 if { srv_is_up(b/nope) }",
            ": unable to find server 'nope' in proxy 'b', referenced in arg 1 of ACL keyword 'srv_is_up' in proxy 'b'.",
        ),
        (
            "http-request set-header X 1 if { srv_is_up(nope/s) }",
            ": unable to find proxy 'nope' referenced in arg 1 of ACL keyword 'srv_is_up' in proxy 'b'.",
        ),
        ("redirect location /x if TRUE", ""),
    ] {
        let said =
            compile(&mut around, line).map_or_else(|problem| printed(&problem), |()| String::new());
        assert_eq!(said, expected, "{line}");
    }
}

#[test]
fn problems_point_at_words() {
    let mut around = around();
    around.declare("is-app1 path /x");
    for (line, word, at, suggestion) in [
        ("acl a path_reg x (a", 3, Some(2), None),
        ("acl a pathh x", 1, None, Some("path")),
        (
            "http-request set-header X a if is-ap1",
            4,
            None,
            Some("is-app1"),
        ),
        ("http-request sett-header X a", 0, None, Some("set-header")),
        (
            "http-request set-header X %[pathh]",
            2,
            Some(2),
            Some("path"),
        ),
        (
            "http-request set-header X a if TRUE { path -m foo }",
            8,
            None,
            None,
        ),
        ("http-request replace-path a** b", 1, Some(2), None),
        ("redirect location %[pathh]", 1, Some(2), Some("path")),
    ] {
        let problem = compile(&mut around, line).unwrap_err();
        assert_eq!(problem.word, word, "{line}");
        assert_eq!(problem.at, at, "{line}");
        assert_eq!(problem.suggestion.as_deref(), suggestion, "{line}");
    }
}

/// The first word that each warning blames, and the first line of what it says.
#[test]
fn acls_that_look_like_mistakes_are_warned_of() {
    const NONE: &str = "parsing acl keyword 'path' :";
    const SPACE: &str = "parsing acl 'a' :";
    const BRACES: &str = "parsing acl '' :";
    for (line, expected) in [
        ("acl a path", Some((1, NONE))),
        ("acl a path --", None),
        ("acl a path -i", None),
        ("acl a path -n", None),
        ("acl a path -m beg", None),
        ("acl a hdr (host)", Some((2, SPACE))),
        ("acl a path_reg (?<x>a)", Some((2, SPACE))),
        ("acl a path_reg (?<x", None),
        ("acl a path -i (x", None),
        ("acl a path_beg /a (x", None),
        ("acl a path -- (x", None),
        ("acl a dst_port (5", None),
        ("acl a src (1", None),
        ("http-request deny if { path }", Some((3, NONE))),
        ("http-request deny if { path (x }", Some((4, BRACES))),
        ("http-request deny if TRUE { path (x }", Some((5, BRACES))),
        ("redirect location / if { path (x }", Some((5, BRACES))),
    ] {
        let mut around = around();
        let _ = compile(&mut around, line);
        let said: Vec<_> = around
            .warnings
            .iter()
            .map(|warning| (warning.word, warning.message.lines().next().unwrap()))
            .collect();
        assert_eq!(said, Vec::from_iter(expected), "{line}");
    }
}
