//! What is looked for in a directory. `docs/checks.md` is printed from this list.

use crate::finding::checks;

checks! {
    TEXT_CONTROL_CHARACTER = "text.control_character", Error,
        "A text has a line break, a NUL or another control character: it could forge a SIP header. The record is refused.",
        "remove the character";
    TEXT_TOO_LONG = "text.too_long", Error,
        "A text has more than 256 characters. The record is refused.",
        "shorten it";
    LIST_TOO_LONG = "list.too_long", Error,
        "A workgroup has more than 10,000 members. The record is refused.",
        "split the workgroup";
    ENDPOINT_UNSUPPORTED = "endpoint.unsupported", Error,
        "Accounts, call control and phone are no row of the endpoint table (domain rules 1.2).",
        "change callControl, phone or the accounts so that they fit a row";
    ENDPOINT_NOT_LYNC_CERTIFIED = "endpoint.not_lync_certified", Error,
        "A third party's Lync phone that Microsoft did not certify is not supported (domain rules 1.2).",
        "use a certified device, or correct phone.lyncCertified";
    FEATURE_NOT_RELEASED = "feature.not_released", Error,
        "The user is of row 5 (Lync client controlling a Lync phone that is a station), which is off: calls are refused.",
        "set spec.features.row5 in the tenant's policy, or let the CIC client control the phone (callControl: CicClient)";
    USER_MISSING_CIC_USER = "user.missing_cic_user", Error,
        "The CIC account has no name.",
        "set cic.userId to the user's name in Interaction Administrator";
    USER_MISSING_EXTENSION = "user.missing_extension", Error,
        "A CIC user has no extension (domain rules 1.3).",
        "set cic.extension, two to six digits";
    USER_MISSING_DOMAIN_ACCOUNT = "user.missing_domain_account", Error,
        "A Lync-enabled CIC user has no Windows domain account: Interaction Administrator shows an error, and Lync settings cannot be looked up (domain rules 1.3).",
        "set cic.ntDomainAccount as DOMAIN\\name";
    USER_DOMAIN_ACCOUNT_FORM = "user.domain_account_form", Error,
        "The Windows domain account is not written as DOMAIN\\name.",
        "write it as DOMAIN\\name";
    USER_MISSING_PHONE = "user.missing_phone", Warning,
        "Nothing rings: no phone is named.",
        "set phone.kind";
    USER_MISSING_STATION = "user.missing_station", Error,
        "A user of a CIC phone has no station: CIC cannot ring them.",
        "set station to the station of their phone";
    USER_LYNC_PHONE_WITHOUT_STATION = "user.lync_phone_without_station", Error,
        "A Lync phone of rows 3 to 5 is not configured as a CIC station: CIC cannot ring it (domain rules 1.2).",
        "make a station whose contact address is the Line URI, and name it in station";
    USER_LYNC_PHONE_REMOTE_STATION = "user.lync_phone_remote_station", Warning,
        "A Lync phone is configured as a remote station: CIC then dials it as a telephone number and cannot know it (domain rules 5.1).",
        "configure it as a workstation with a SIP connection and the Line URI as contact address";
    USER_STATION_UNKNOWN = "user.station_unknown", Error,
        "The user's station is not in the directory.",
        "add the station, or correct the name";
    USER_SITE_UNKNOWN = "user.site_unknown", Error,
        "The user's site is not one of the tenant's: dial plan and emergency egress would be another place's.",
        "name a site of the tenant's policy";
    USER_SIP_ADDRESS_FORM = "user.sip_address_form", Error,
        "The SIP address is not of the form sip:user@host.",
        "write it as sip:jane@example.com";
    USER_MISSING_LINE_URI = "user.missing_line_uri", Error,
        "The user needs a Line URI: it is how Lync's calls find the phone (domain rules 1.3).",
        "set lync.lineUri, as tel:+4930123456";
    USER_LINE_URI_FORM = "user.line_uri_form", Error,
        "The Line URI is not tel: and a global number, perhaps with ;ext= (domain rules 1.3).",
        "write it as tel:+4930123456 or tel:+4930123456;ext=3456";
    USER_LINE_URI_UNEXPECTED = "user.line_uri_unexpected", Warning,
        "A user for instant messages only has a Line URI: Lync would ring calls to it.",
        "empty lync.lineUri";
    USER_LINE_URI_NOT_CONTACT_ADDRESS = "user.line_uri_not_contact_address", Error,
        "The Line URI differs from the station's contact address: CIC rings another phone, or none (domain rules 1.3).",
        "set both to the same number";
    USER_LINE_URI_NOT_CIC_NUMBER = "user.line_uri_not_cic_number", Warning,
        "Under remote call control the Line URI is the CIC phone's number; this one is no number of the user's (domain rules 1.3).",
        "set lync.lineUri to a DID of the user or to the station's contact address";
    USER_DID_EQUALS_LINE_URI = "user.did_equals_line_uri", Warning,
        "The published number is the Line URI. Under option 3 Lync rings the phone at once, and CIC never sees the call: no status, no recording, no plug-in (domain rules 3.1). Under option 1 with CIC behind the proxy the call meets the proxy twice with one number, which is refused as a loop (domain rules 3.3).",
        "publish another number, owned by CIC, and keep the Line URI as contact address only";
    USER_LINE_URI_SHARED = "user.line_uri_shared", Error,
        "Two users have one Line URI: which of the two a call rings is chance to both of them, and by us it is the one whose id sorts first.",
        "give each a Line URI of their own, if need be by an extension (;ext=), here and in Lync";
    USER_SIP_ADDRESS_SHARED = "user.sip_address_shared", Error,
        "Two users have one SIP address: a call from or to it is taken for the one whose id sorts first.",
        "correct the SIP address of one of the two, or remove the user who is entered twice";
    USER_CIC_USER_SHARED = "user.cic_user_shared", Error,
        "Two users have one account in CIC: an agent whom CIC names is taken for the one whose id sorts first.",
        "correct the CIC account of one of the two, or remove the user who is entered twice";
    USER_MISSING_LINE_SERVER = "user.missing_line_server", Error,
        "Remote call control needs the line server, CIC's CSTA address (domain rules 1.3).",
        "set lync.lineServer, as sip:line@cic.example.com";
    USER_LINE_SERVER_FORM = "user.line_server_form", Error,
        "The line server is not of the form sip:user@host.",
        "write it as sip:line@cic.example.com";
    USER_ENTERPRISE_VOICE_ON = "user.enterprise_voice_on", Error,
        "Row 6 with Enterprise Voice on: Lync would take the user's calls itself instead of controlling the CIC phone (domain rules 3.7).",
        "set lync.telephony to Rcc";
    USER_ENTERPRISE_VOICE_OFF = "user.enterprise_voice_off", Error,
        "A Lync phone without Enterprise Voice: calls to the Line URI do not ring it.",
        "set lync.telephony to Uc";
    USER_TELEPHONY_DUAL = "user.telephony_dual", Warning,
        "The telephony mode Dual stands in Lync's schema; whether CIC supports it is not known (domain rules 3.7).",
        "set lync.telephony to Uc for a Lync phone, or to Rcc for a CIC phone";
    USER_PLUG_IN_UNUSED = "user.plug_in_unused", Warning,
        "A plug-in is configured that does nothing in this row: it answers only for a CIC client with a Lync phone.",
        "remove plugIn, or let the CIC client control a Lync phone";
    USER_PHONE_NOT_PAIRED = "user.phone_not_paired", Warning,
        "A Lync hard phone that is not paired with the Lync client of the workstation is answered by hand, in spite of the plug-in (domain rules 1.2).",
        "pair the phone with the Lync client and set phone.paired";
    USER_FORWARD_LOOP = "user.forward_loop", Error,
        "A treatment leads back to the user whom it leaves (domain rules 3.3, L4).",
        "choose another target";
    USER_VOICEMAIL_TOO_EARLY = "user.voicemail_too_early", Warning,
        "Lync's voicemail takes the call before the station's own timeout: CIC never sees that nobody answered (domain rules 3.3, L5).",
        "turn Enterprise Voice voicemail off for the user, or shorten the station's ringSeconds";
    TREATMENT_INVALID = "treatment.invalid", Error,
        "A treatment's target is no number in canonical form, or its time is not 7 to 300 s.",
        "write the target as +4930123456 or as an extension, and the time as 7 to 300 s";
    EXTENSION_FORM = "extension.form", Error,
        "An extension is not two to six digits (domain rules 1.3).",
        "choose two to six digits";
    EXTENSION_FORBIDDEN = "extension.forbidden", Error,
        "An extension starts with 1800, 1900, 1411 or 1911, which CIC takes for services (domain rules 1.3).",
        "choose another extension";
    EXTENSION_CONFLICT = "extension.conflict", Error,
        "An extension is held by another, or starts with the extension of a workgroup: CIC would ring that (domain rules 1.3).",
        "choose another extension";
    EXTENSION_EMERGENCY = "extension.emergency", Error,
        "An extension is an emergency string somewhere in the tenant: emergency comes first, so nobody can call it.",
        "choose another extension";
    STATION_NO_CONTACT_ADDRESS = "station.no_contact_address", Error,
        "A station has no contact address: CIC cannot ring it.",
        "set contactAddress";
    STATION_CONTACT_ADDRESS_FORM = "station.contact_address_form", Error,
        "The contact address is neither tel: and a global number nor a SIP address.",
        "write it as tel:+4930123456 or sip:line@host";
    STATION_NO_AUDIO_LICENCE = "station.no_audio_licence", Error,
        "A station has no Basic Station licence: there is no audio and no dial tone (domain rules 1.4).",
        "give it the licence in Interaction Administrator and set audioLicence";
    STATION_RING_SECONDS = "station.ring_seconds", Error,
        "The station timeout is not 7 to 300 s (domain rules 3.6). Below 7 s CIC rings for 7 s.",
        "choose 7 to 300; 0 means 15";
    STATION_SITE_UNKNOWN = "station.site_unknown", Error,
        "The station's site is not one of the tenant's.",
        "name a site of the tenant's policy";
    WORKGROUP_NO_MEMBERS = "workgroup.no_members", Warning,
        "A workgroup has no agents: calls wait in the queue.",
        "add members";
    WORKGROUP_MEMBER_UNKNOWN = "workgroup.member_unknown", Error,
        "A member is not in the directory.",
        "add the user, or correct the name";
    WORKGROUP_MEMBER_TWICE = "workgroup.member_twice", Warning,
        "A member is listed twice.",
        "remove one of the two";
    WORKGROUP_HUNT_TARGET = "workgroup.hunt_target", Error,
        "The hunt target is no number in canonical form.",
        "write it as +4930123456 or as an extension";
    AGENT_NOT_CIC_USER = "agent.not_cic_user", Error,
        "A member has no CIC account: a user of Lync alone cannot be an agent (domain rules 1.1).",
        "give the user a CIC account with an ACD licence, or remove the member";
    AGENT_NO_ACD_LICENCE = "agent.no_acd_licence", Warning,
        "An agent's station has no ACD Access: it gets queue calls only if the user has the licence (domain rules 1.4).",
        "give station or user ACD Access";
    NUMBER_INVALID = "number.invalid", Error,
        "The number is none that the tenant's dial plan understands.",
        "write it as +4930123456, or as people of the tenant dial it";
    NUMBER_OWNER_MISSING = "number.owner_missing", Error,
        "A DID names no user, or a workgroup's number no workgroup.",
        "set user (kind: Did) or workgroup (kind: Workgroup)";
    NUMBER_OWNER_UNEXPECTED = "number.owner_unexpected", Error,
        "A number names an owner that its kind does not have.",
        "name a user for kind: Did, a workgroup for kind: Workgroup, none for kind: Attendant";
    NUMBER_OWNER_UNKNOWN = "number.owner_unknown", Error,
        "The number's owner is not in the directory.",
        "add the user or workgroup, or correct the name";
    NUMBER_LYNC_ONLY = "number.lync_only_user", Warning,
        "A DID of a user of Lync alone that is not their Line URI: Lync does not know it (domain rules 3.1).",
        "set the user's Line URI to the number, and remove the assignment";
    NUMBER_OUTSIDE_RANGES = "number.outside_ranges", Warning,
        "The number lies in none of the tenant's ranges: no carrier gives its calls to this tenant.",
        "add the range to spec.numbers.ranges, or correct the number";
    NUMBER_SHADOWED = "number.shadowed_by_route", Warning,
        "An explicit route comes before the assignment and gives the number to another (domain rules 3.1).",
        "remove or narrow the route, or remove the assignment";
    ROUTE_WORKGROUP_UNKNOWN = "route.workgroup_unknown", Warning,
        "An explicit route leads to a workgroup that is not in the directory.",
        "add the workgroup, or correct the route";
}
