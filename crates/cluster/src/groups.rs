//! The API groups that the server serves: `/apis`.

use crate::object::null_is_empty;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct ApiGroups {
    #[serde(deserialize_with = "null_is_empty")]
    groups: Vec<ApiGroup>,
}

#[derive(Debug, Deserialize)]
struct ApiGroup {
    name: String,
}

impl ApiGroups {
    pub fn serve(&self, name: &str) -> bool {
        self.groups.iter().any(|group| group.name == name)
    }
}
