//! What is looked for in policy. `docs/checks.md` is printed from this list.

use crate::finding::checks;

checks! {
    DOCUMENT_WRONG_KIND = "document.wrong_kind", Error,
        "The document is not of the kind that was expected.",
        "write `apiVersion: tandem.dev/v1` and `kind: Tenant`";
    DOCUMENT_TOO_LARGE = "document.too_large", Error,
        "The policy has more than 192 KiB as JSON: Kubernetes' store would not take it with its status.",
        "move numbers of users and workgroups to the directory, and join routes into longer prefixes";
    TEXT_CONTROL_CHARACTER = "text.control_character", Error,
        "A text has a line break, a NUL or another control character: it could forge a SIP header.",
        "remove the character";
    TEXT_TOO_LONG = "text.too_long", Error,
        "A text has more than 256 characters.",
        "shorten it";
    LIST_TOO_LONG = "list.too_long", Error,
        "A list has more entries than its limit.",
        "remove entries; what many tenants have in common belongs in the gateway, and people in the directory";
    LIST_DUPLICATE = "list.duplicate", Error,
        "An entry stands in a list twice, so that one of the two would never count.",
        "remove one of the two, or rename it";
    NAME_INVALID = "name.invalid", Error,
        "A name is empty, too long, or has characters that names may not have.",
        "use 1 to 63 lower-case letters, digits and '-' between them";
    NAME_RESERVED = "name.reserved", Error,
        "The tenant's name is one that Tandem uses itself.",
        "choose another name";
    VALUE_OUT_OF_RANGE = "value.out_of_range", Error,
        "A number is below or above what makes sense.",
        "choose a value inside the range, or remove the field to have the default";
    NUMBER_NOT_CANONICAL = "number.not_canonical", Error,
        "A telephone number is not in canonical form, the only form in which numbers are compared.",
        "write it as +4930123456, +4930123456;ext=12, or as digits alone if it is the tenant's own; at most 15 digits";
    NUMBER_NOT_A_PREFIX = "number.not_a_prefix", Error,
        "The start of numbers is not in canonical form.",
        "write it as +4930123, or as digits alone for the tenant's own numbers; at most 15 digits, no separators";
    HOST_INVALID = "host.invalid", Error,
        "A host is neither an IP address nor a host name.",
        "write an IP address or a host name, without scheme; the port has a field of its own";
    SITE_NONE = "site.none", Error,
        "No premises are listed: phones and Lync always stand at the customer's.",
        "add a site other than `cloud` to spec.sites";
    SITE_UNDEFINED = "site.undefined", Error,
        "A site is named that is not listed.",
        "add it to spec.sites, or correct the name";
    SITE_DIGITS = "site.digits", Error,
        "A country code, national prefix or emergency number has something else than digits, or too many of them.",
        "a country code has 1 to 3 digits without plus, a national prefix at most 5, an emergency number 2 to 6";
    SITE_NO_EMERGENCY_EGRESS = "site.no_emergency_egress", Error,
        "Emergency calls from a site have no way out (domain rules 9.1).",
        "name the site's gateways in its emergency.egress, in order of preference";
    SITE_NO_CALLBACK = "site.no_callback", Error,
        "A rescuer could not call back: the site has no callback number (domain rules 9.1).",
        "give the site's emergency.callback as a number that is answered there";
    SITE_NO_EMERGENCY_NUMBERS = "site.no_emergency_numbers", Error,
        "No string that people dial at a site is known as an emergency call.",
        "list the strings, such as 112, in spec.emergency.numbers or in the site's emergency.numbers";
    SITE_EMERGENCY_EGRESS_ROLE = "site.emergency_egress_not_gateway", Error,
        "An emergency egress is no gateway, and so does not lead to the PSTN.",
        "name trunks of role Gateway only";
    SITE_EMERGENCY_EGRESS_ELSEWHERE = "site.emergency_egress_elsewhere", Warning,
        "None of a site's emergency trunks stands at the site: the call reaches the rescue centre of another place, and none when the WAN is lost.",
        "put a gateway at the site and name it first";
    PLACEMENT_NOT_OF_MODEL = "placement.not_of_model", Warning,
        "A component stands where the model does not put it (domain rules 2.1). Ways and crossings are computed from where it stands.",
        "remove the placement, choose the model that fits, or leave it if it is meant";
    TRUNK_UNDEFINED = "trunk.undefined", Error,
        "A trunk is named that is not listed.",
        "add it to spec.trunks, or correct the name";
    TRUNK_MISSING = "trunk.missing", Error,
        "There is no trunk of a role that calls need.",
        "add a trunk of that role to spec.trunks";
    TRUNK_NO_ADDRESS = "trunk.no_address", Error,
        "A trunk has no address to send calls to.",
        "add at least one address";
    TRUNK_SRTP_REQUIRES_TLS = "trunk.srtp_requires_tls", Error,
        "SRTP without TLS: CIC offers SRTP on TLS lines only, and Lync takes SRTPMode for NotSupported on TCP (domain rules 2.2, rules 3 to 5).",
        "set transport to Tls, or srtp to NotSupported";
    TRUNK_LYNC_UDP = "trunk.lync_udp", Error,
        "Mediation takes no UDP (domain rules 2.2).",
        "set transport to Tls (port 5067) or Tcp (port 5068)";
    TRUNK_LYNC_UNENCRYPTED = "trunk.lync_unencrypted", Warning,
        "Signalling to Mediation is not encrypted; TLS is optional there but strongly recommended (domain rules 2.2, rule 2).",
        "keep the way to Mediation inside a network of your own: this release's edge does not carry TLS";
    TRUNK_TLS_NOT_CARRIED = "trunk.tls_not_carried", Warning,
        "SIP over TLS is described and planned, but this release's edge carries UDP and TCP alone: no call passes it by this trunk.",
        "set transport to Tcp (and have the peer take it) where Tandem's edge is to carry the calls";
    TRUNK_CALLED_NEVER_FITS = "trunk.called_never_fits", Warning,
        "Tenants that share a carrier are told apart by the digits as they come. This carrier writes numbers nationally, and what it is to be known by starts with a plus: no call fits.",
        "write ingress.called as the carrier brings it, such as 030123, or have it write +E.164";
    TRUNK_LYNC_ACCEPT_302 = "trunk.lync_accept_302", Error,
        "Mediation does not follow redirects to another peer.",
        "remove accept302 from the Lync trunk: the edge stays in the way as a proxy";
    TRUNK_LYNC_REQUIRES_SRTP = "trunk.lync_requires_srtp", Error,
        "A peer that sends RTP calls a Lync trunk whose SRTPMode is Required, and no media server stands between them: each call fails (domain rules 2.2, rule 5).",
        "set the peer's transport to Tls and its srtp to Required or Optional, or the Lync trunk's srtp (and SRTPMode in Lync) to Optional";
    TRUNK_REFER_UNSUPPORTED = "trunk.refer_unsupported", Error,
        "Mediation sends REFER to a peer that cannot take it: transfers by Lync users fail (EnableReferSupport, domain rules 3.5).",
        "set refer: false on the Lync trunk (and EnableReferSupport False in Lync), so that Mediation keeps both legs";
    TRUNK_RETRY_CODE = "trunk.retry_code", Error,
        "A response that speaks of the user or asks for credentials is no failure of a trunk (domain rules 3.2 A).",
        "list 4xx and 5xx codes of failing systems only; never 401, 404, 407, 480, 486, 487 or 6xx";
    TRUNK_NATIONAL_WITHOUT_COUNTRY = "trunk.national_without_country", Error,
        "A trunk writes numbers nationally, but its site has no country code.",
        "give the trunk's site a countryCode (and nationalPrefix), or choose another number form";
    TRUNK_SCREENING_WITHOUT_DEFAULT = "trunk.screening_without_default", Warning,
        "Callers whom screening refuses are shown without any number; carriers often refuse such calls.",
        "give the trunk's identity.defaultNumber";
    TRUNK_BACKUP_ROLE = "trunk.backup_role", Error,
        "A backup trunk is the trunk itself, or of another role: a call would go to another system, not by another way.",
        "name other trunks of the same role";
    TRUNK_NO_INGRESS = "trunk.no_ingress", Warning,
        "Calls from the gateway meet the proxy first, but nothing says how the gateway is known: its calls are refused.",
        "give the gateway trunk an ingress with its source address, certificate or domain";
    TRUNK_INGRESS_EMPTY = "trunk.ingress_empty", Error,
        "An ingress names no source, certificate or domain: every call would be this trunk's.",
        "give the peer's source address or network, its certificate's name, or the domain that it calls";
    TRUNK_INGRESS_INVALID = "trunk.ingress_invalid", Error,
        "An ingress has a source that is no address or network.",
        "write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32";
    TRUNK_INGRESS_OVERLAP = "trunk.ingress_overlap", Error,
        "One call could come from either of two trunks of the tenant.",
        "narrow one of the two: another listener, a smaller network, or other called numbers";
    TRUNK_DOMAIN_SHARED = "trunk.domain_shared", Error,
        "Two trunks have the same domain, so that a request to it has two ways.",
        "give the domain to one of the two, or make one the backup of the other";
    DIAL_RULE_INVALID = "dial.rule_invalid", Error,
        "A dial rule can never work: something else than digits and X, a length that is none, more digits stripped than there are, or a result that is too long.",
        "correct the rule: match has digits and X, strip is at most the fewest digits, prepend is digits with or without +";
    DIAL_RULE_UNREACHABLE = "dial.rule_unreachable", Warning,
        "A dial rule never comes to its turn: one before it fits all that it fits.",
        "move it before the other, or remove it";
    DIAL_OVERRIDE_TARGET = "dial.override_target", Error,
        "A dial override names neither a trunk nor a site, or both.",
        "name exactly one of trunk and site";
    ROUTE_WORKGROUP_MISSING = "route.workgroup_missing", Error,
        "A route to a workgroup does not say to which.",
        "give the route's workgroup";
    ROUTE_WORKGROUP_UNEXPECTED = "route.workgroup_unexpected", Error,
        "A route names a workgroup, but its owner is another.",
        "set owner to Workgroup, or remove workgroup";
    ROUTE_DEFAULT_WORKGROUP = "route.default_workgroup", Error,
        "The default route is a workgroup, but nothing says which.",
        "set defaultRoute to Cic, Lync or Reject, and write a route with pattern and workgroup";
    ROUTE_DEFAULT_UNUSED = "route.default_unused", Warning,
        "The default route counts under option 1 only: under the others the first system keeps what nobody owns (domain rules 3.1).",
        "remove defaultRoute";
    ROUTE_DEFAULT_RETURNS = "route.default_returns", Warning,
        "Numbers that nobody owns go to CIC, and CIC's outbound proxy is this proxy: what CIC does not know comes back (domain rules 3.3, L3). It is refused with 482 when it does.",
        "let CIC answer unknown numbers itself, or remove defaultRoute";
    ROUTE_PING_PONG = "route.ping_pong", Warning,
        "CIC hands a whole block of numbers to Lync; those that Lync does not know can come back to CIC (domain rules 3.3, L1).",
        "exclude the block from the route of Lync's trunk to CIC; `tandem tenant setup` prints it";
    ROUTE_NO_SHARED_USAGE = "route.no_shared_usage", Error,
        "Under option 3 Lync passes calls from the gateway to CIC only if its two trunks share a PSTN usage (domain rules 3.1).",
        "name a usage that both have in lync.gatewayUsages and lync.cicUsages, and set it in Lync";
    ROUTE_SRTP_NO_TRANSCRYPTOR = "route.srtp_no_transcryptor", Warning,
        "Calls to users of Lync alone fail: the gateway has RTP, Lync requires SRTP, and CIC, whose media server could join them, is not in the call (domain rules 2.2, rule 6).",
        "give the gateway TLS and SRTP, or set the Lync trunk's srtp (and SRTPMode in Lync) to Optional";
    MEDIA_SELECTION_EMPTY = "media.selection_empty", Error,
        "A media server selection that chooses none is invalid in CIC (domain rules 2.3).",
        "list the sites whose media servers may be chosen";
    MEDIA_SELECTION_LEAVES_PREMISES = "media.selection_leaves_premises", Error,
        "Local control, but CIC's media server selection could choose one outside the premises: its default order ends at CIC's own site, the cloud (domain rules 2.3).",
        "give media.selection with the premises' sites and any: false (and set it in CIC), or allow it by mediaMayLeavePremises: true";
    MEDIA_ANCHOR_LEAVES_PREMISES = "media.anchor_leaves_premises", Error,
        "Local control, but the media server stands in the cloud: each recorded call would leave the premises.",
        "place the media server at the premises, or allow it by mediaMayLeavePremises: true";
    MEDIA_MAY_LEAVE_PREMISES = "media.may_leave_premises", Warning,
        "Local control whose audio and recordings may leave the premises when no media server is up there.",
        "set mediaMayLeavePremises: false, unless this is meant";
    MEDIA_SERVER_LOST_UNSET = "media.server_lost_unset", Warning,
        "Recorded calls in local control, but nothing says what happens when no media server of the premises is up: they go on unrecorded.",
        "set media.mediaServerLost to ProceedUnrecorded or Refuse";
    MEDIA_CROSSES_THREE_TIMES = "media.crosses_wan_three_times", Warning,
        "Audio of a call with the media server in it crosses the WAN three times: gateway to Mediation, Mediation to the media server, and back (domain rules 9).",
        "prefer option 1 (inbound: ProxyFirst), or place gateway and media server on the side of Lync";
    MEDIA_BYPASS_WITHOUT_REFER = "media.bypass_without_refer", Warning,
        "Media bypass without REFER: a bypass call that is transferred becomes one through Mediation (domain rules 3.5).",
        "let the peers take REFER, or size Mediation for it";
    MEDIA_RECORD_LYNC_UNUSED = "media.record_lync_users_unused", Warning,
        "Calls to users of Lync alone pass CIC under option 2 only: under the others CIC cannot record them.",
        "remove recordLyncUsers, or choose inbound: CicFirst";
    TOLL_NOTHING_ALLOWED = "toll.nothing_allowed", Warning,
        "No toll rule allows anything: every call to the PSTN but emergency calls is refused.",
        "add a rule with allow: true";
    TOLL_OPEN_TRANSIT = "toll.open_transit", Warning,
        "A rule lets calls from the PSTN go out to any number of the PSTN: an open door to toll fraud.",
        "name the roles that may call out in from (Cic, Lync), or the numbers in called";
    TOLL_UNREACHABLE = "toll.unreachable", Warning,
        "A toll rule never comes to its turn: one before it fits every call.",
        "move it before the other, or remove it";
    TOLL_REFUSAL_WITH_TRUNKS = "toll.refusal_with_trunks", Error,
        "A rule that refuses names trunks that may be used.",
        "remove trunks from the rule, or set allow: true";
    TOLL_TRUNK_ROLE = "toll.trunk_not_gateway", Error,
        "A toll rule names a trunk that does not lead to the PSTN.",
        "name trunks of role Gateway only";
    SURVIVABLE_NO_HUNT_TARGET = "survivable.no_hunt_target", Warning,
        "Local control without a hunt target: while the CIC in the cloud is silent, calls to queues whose workgroup has none of its own fail (domain rules 2.4).",
        "give survivable.huntTarget";
    SURVIVABLE_NO_SECONDARY_ROUTE = "survivable.no_secondary_route", Warning,
        "Local control under option 2 or 3 without a secondary route: when the WAN is lost, calls to CIC's numbers fail (domain rules 2.4).",
        "give the gateway (option 2) or Lync's route (option 3) a second target at the premises, and say so in survivable.secondaryRoute";
    LYNC_VOICEMAIL_TOO_EARLY = "lync.voicemail_too_early", Warning,
        "Lync's voicemail takes the call before CIC's station timeout of 15 s: CIC never sees that nobody answered (domain rules 3.3, L5).",
        "turn Enterprise Voice voicemail off for agents, or set it to more than 15 s";
}
