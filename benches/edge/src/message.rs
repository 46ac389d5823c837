//! As much of SIP as the load needs: it only has to read what the servers under test write.

/// The values of a header, in order.
pub fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    message.split("\r\n").skip(1).take_while(|l| !l.is_empty()).filter_map(move |line| {
        let (n, value) = line.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The first value of a header; empty without one.
pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    headers(message, name).next().unwrap_or_default()
}

/// The tag of a To, with its `;tag=`; empty without one.
pub fn tag(to: &str) -> &str {
    to.find(";tag=").map_or("", |at| &to[at..])
}
