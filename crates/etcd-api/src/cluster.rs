//! Members.

use crate::proto::{
    Member, MemberAddRequest, MemberAddResponse, MemberIdRequest, MemberListRequest, MembersResponse,
};
use crate::{Client, Error};

impl Client {
    /// The members with the consent of the quorum.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        self.member_list(true).await
    }

    /// The members in the view of this one: also without a quorum, and perhaps of yesterday.
    pub async fn members_known_here(&self) -> Result<Vec<Member>, Error> {
        self.member_list(false).await
    }

    async fn member_list(&self, linearizable: bool) -> Result<Vec<Member>, Error> {
        let request = MemberListRequest { linearizable };
        let answer: MembersResponse = self.call("/etcdserverpb.Cluster/MemberList", request).await?;
        Ok(answer.members)
    }

    /// Adds a member that listens but does not vote yet.
    pub async fn add_learner(&self, peer_url: &str) -> Result<Member, Error> {
        let request = MemberAddRequest {
            peer_urls: vec![peer_url.to_owned()],
            is_learner: true,
        };
        let answer: MemberAddResponse = self.call("/etcdserverpb.Cluster/MemberAdd", request).await?;
        answer
            .member
            .ok_or_else(|| Error::Malformed("it does not name the new member".to_owned()))
    }

    /// Makes a learner a voter. Answers the members then.
    pub async fn promote(&self, id: u64) -> Result<Vec<Member>, Error> {
        let request = MemberIdRequest { id };
        let answer: MembersResponse = self.call("/etcdserverpb.Cluster/MemberPromote", request).await?;
        Ok(answer.members)
    }

    /// Answers the members that are left.
    pub async fn remove(&self, id: u64) -> Result<Vec<Member>, Error> {
        let request = MemberIdRequest { id };
        let answer: MembersResponse = self.call("/etcdserverpb.Cluster/MemberRemove", request).await?;
        Ok(answer.members)
    }
}
