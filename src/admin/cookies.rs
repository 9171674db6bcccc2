//! Commands that change how the cookies of servers are made.

use super::command::Call;
use super::frontend::is_named;
use crate::config::model::{DynamicCookies, ProxyId};
use crate::engine::service::{Command, Outcome};

/// The backend that a command's third word names, and how its cookies are made now; if there is
/// none, the refusal is written.
fn backend(call: &mut Call<'_, '_>) -> Option<(ProxyId, DynamicCookies)> {
    let name = call.word(3);
    if name.is_empty() {
        call.refuse("A backend name is expected.");
        return None;
    }
    let mut proxies = call.view.config.proxies.iter();
    let found = proxies.find(|proxy| proxy.is_backend && is_named(proxy, name));
    let record = found.and_then(|proxy| call.view.proxies.get(proxy.id.0 as usize));
    match (found, record) {
        (Some(proxy), Some(record)) => Some((proxy.id, record.dynamic.clone())),
        _ => {
            call.refuse("No such backend.");
            None
        }
    }
}

fn switch(call: &mut Call<'_, '_>, on: bool) -> Outcome {
    match backend(call) {
        Some((proxy, dynamic)) => Outcome::Apply(Command::DynamicCookies(
            proxy,
            DynamicCookies { on, ..dynamic },
        )),
        None => Outcome::Done,
    }
}

/// `enable dynamic-cookie backend B`.
pub(super) fn enable(call: &mut Call<'_, '_>) -> Outcome {
    switch(call, true)
}

/// `disable dynamic-cookie backend B`.
pub(super) fn disable(call: &mut Call<'_, '_>) -> Outcome {
    switch(call, false)
}

/// `set dynamic-cookie-key backend B KEY`.
pub(super) fn set_key(call: &mut Call<'_, '_>) -> Outcome {
    let Some((proxy, dynamic)) = backend(call) else {
        return Outcome::Done;
    };
    if call.word(4).is_empty() {
        return call.refuse("String value expected.");
    }
    let key = Some(call.word(4).to_owned());
    Outcome::Apply(Command::DynamicCookies(
        proxy,
        DynamicCookies { key, ..dynamic },
    ))
}
