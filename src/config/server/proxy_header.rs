//! The options of a server that say how clients are introduced to it (configuration.txt 5.2,
//! `send-proxy` and its kin).

use crate::base::proxy_header::Form;
use crate::config::draft::ServerSettings;
use crate::config::lexer::Line;
use crate::config::sections::Parser;

/// How a health check introduces itself: as the server's clients are introduced, unless it goes
/// to a place of its own; `check-send-proxy` asks for it there, too.
pub(in crate::config) fn of_check(settings: &ServerSettings) -> Form {
    let elsewhere = settings.check_port.is_some() || settings.check_address.is_some();
    match (settings.check_proxy_header, settings.proxy_header) {
        (false, _) if elsewhere => Form::default(),
        (true, form) if form.is_none() => Form::V1,
        (_, form) => form,
    }
}

impl Parser<'_> {
    /// One of these options; gives the number of its words, or nothing when it is none of them or
    /// was refused.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn proxy_header_option(
        &mut self,
        line: &Line,
        at: usize,
        option: &str,
        settings: &mut ServerSettings,
        before: &str,
    ) -> Option<usize> {
        let form = settings.proxy_header;
        let tls = Form::V2.with(Form::TLS);
        settings.proxy_header = match option {
            "send-proxy" => form.with(Form::V1),
            "send-proxy-v2" => form.with(Form::V2),
            "send-proxy-v2-ssl" => form.with(tls),
            "send-proxy-v2-ssl-cn" => form.with(tls).with(Form::COMMON_NAME),
            "no-send-proxy" => form.without(Form::V1),
            "no-send-proxy-v2" => form.without(Form::V2),
            "no-send-proxy-v2-ssl" => form.without(tls),
            "no-send-proxy-v2-ssl-cn" => form.without(tls).without(Form::COMMON_NAME),
            "check-send-proxy" | "no-check-send-proxy" => {
                settings.check_proxy_header = option == "check-send-proxy";
                form
            }
            "proxy-v2-options" => {
                let mut form = form;
                for name in line.word(at + 1).split(',') {
                    form = form.with(match name {
                        "ssl" => Form::TLS,
                        "cert-cn" => Form::TLS.with(Form::COMMON_NAME),
                        "ssl-cipher" => Form::TLS.with(Form::CIPHER),
                        "cert-sig" => Form::TLS.with(Form::CERT_SIGNATURE),
                        "cert-key" => Form::TLS.with(Form::CERT_KEY),
                        "authority" => Form::AUTHORITY,
                        "crc32c" => Form::CRC32C,
                        "unique-id" => Form::UNIQUE_ID,
                        _ => {
                            let text =
                                format!("{before}'{name}' : proxy v2 option not implemented.");
                            self.refuse_server(line, at + 1, text);
                            return None;
                        }
                    });
                }
                settings.proxy_header = form;
                return Some(2);
            }
            _ => return None,
        };
        Some(1)
    }
}
