//! Where audio may go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::terms::{MediaLost, MediaPath};

/// Where audio may go (domain rules 2.3).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Media {
    /// CIC's audio path. None: `Dynamic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<MediaPath>,
    /// Whether calls that CIC handles are recorded.
    #[serde(default)]
    pub recorded: bool,
    /// Whether CIC may record calls to Lync-only users that pass it (option 2).
    #[serde(default)]
    pub record_lync_users: bool,
    /// Whether audio of premises may be anchored elsewhere. None: false in local control, true otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_may_leave_premises: Option<bool>,
    /// What happens to a recorded call in local control when no media server of the premises is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_server_lost: Option<MediaLost>,
    /// CIC's media server selection, as its administrator set it. None: CIC's default order, which ends at any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<MediaSelection>,
    /// Whether Lync's media bypass is on for the trunk.
    #[serde(default)]
    pub bypass: bool,
}

/// CIC's media server selection rule (domain rules 2.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MediaSelection {
    /// Sites whose media servers may be chosen, in order. Never empty unless `any`.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Whether the rule ends with `<Any>`.
    #[serde(default)]
    pub any: bool,
    /// Sites that are never chosen.
    #[serde(default)]
    pub exclude: Vec<String>,
}
