//! The endpoint table of domain rules 1.2, walked whole.

use tandem_domain::directory::{endpoint, kind};
use tandem_domain::document::directory::User;
use tandem_domain::document::terms::{CallControl, PhoneKind, TelephonyMode, UserKind};

use crate::golden;

/// Every combination of accounts, client, phone, plug-in and telephony, as a table to read.
#[test]
fn the_endpoint_table() {
    let phones = [
        None,
        Some(PhoneKind::CicHard),
        Some(PhoneKind::CicSoft),
        Some(PhoneKind::LyncHard),
        Some(PhoneKind::LyncSoft),
    ];
    let mut table = String::from("accounts | client | phone | plug-in | Lync telephony | endpoint\n");
    let full = crate::directory().spec.users.remove(2);
    for (cic, lync) in [(true, false), (false, true), (true, true), (false, false)] {
        for control in CallControl::ALL {
            for phone in phones {
                for plug_in in [false, true] {
                    let modes: &[TelephonyMode] =
                        if lync { TelephonyMode::ALL } else { &[TelephonyMode::None] };
                    for mode in modes {
                        let mut user: User = full.clone();
                        user.call_control = *control;
                        user.plug_in = plug_in;
                        user.phone = user.phone.filter(|_| phone.is_some());
                        if let (Some(p), Some(kind)) = (&mut user.phone, phone) {
                            p.kind = kind;
                        }
                        user.cic = user.cic.filter(|_| cic);
                        user.lync = user.lync.filter(|_| lync);
                        if let Some(l) = &mut user.lync {
                            l.telephony = *mode;
                        }
                        let accounts = kind(&user).map_or("none", UserKind::name);
                        let phone = phone.map_or("-", PhoneKind::name);
                        let mode = if lync { mode.name() } else { "-" };
                        let client = control.name();
                        let is = endpoint(&user);
                        table += &format!("{accounts} | {client} | {phone} | {plug_in} | {mode} | {is:?}\n");
                    }
                }
            }
        }
    }
    golden::check("endpoints.txt", &table);
}
