//! Calls to and from CIC's own users.

use crate::harness::Tenant;

#[tokio::test]
async fn a_call_from_the_pstn_rings_the_users_phone() {
    let tenant = Tenant::new("CIC", &[]);
    let result = tenant.from_pstn("+12065550001", "+14255550101").await;
    assert_eq!((result.status, result.rtp_sent, result.rtp_received), (200, 10, 10));
    assert!(!result.ended_by_far_end);
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > ann-phone");
    let phone = tenant.taken("+12065550001", "ann-phone").await;
    assert_eq!((phone.answered_by.as_str(), phone.rtp_sent, phone.rtp_received), ("manual", 10, 10));
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert_eq!(cic.why, "line Gateway: +14255550101 is a number of user ann");
}
