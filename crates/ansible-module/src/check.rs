//! Modules that change nothing.

use crate::{Module, Plan, Target};
use anyhow::Result;
use host::Host;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;

/// A module that only looks, and checks what it sees. Reading one means reading these three functions.
pub trait Check {
    /// As [`Module::NAME`].
    const NAME: &'static str;
    /// As [`Module::DOC`].
    const DOC: &'static str;

    /// The options, in types; an invalid one cannot be made.
    type Params: DeserializeOwned;
    /// What is true now.
    type State;
    /// The documented return values.
    type Returned: Serialize;

    /// The container to look into; none: the host itself. No lock is taken, since nothing is changed.
    fn vmid(_params: &Self::Params) -> Option<u32> {
        None
    }

    fn observe(params: &Self::Params, host: &dyn Host) -> Result<Self::State>;

    /// The warnings; an error fails the task.
    fn check(params: &Self::Params, state: &Self::State) -> Result<Vec<String>>;

    fn report(params: &Self::Params, state: &Self::State) -> Self::Returned;
}

impl<C: Check> Module for C {
    const NAME: &'static str = C::NAME;
    const DOC: &'static str = C::DOC;

    type Params = C::Params;
    type State = C::State;
    type Step = Infallible;
    type Journal = ();
    type Returned = C::Returned;

    fn target(params: &C::Params) -> Target {
        Target {
            vmid: C::vmid(params),
            lock_timeout: None,
        }
    }

    fn observe(params: &C::Params, host: &dyn Host) -> Result<C::State> {
        C::observe(params, host)
    }

    fn plan(params: &C::Params, state: &C::State) -> Result<Plan<Infallible>> {
        Ok(Plan {
            warnings: C::check(params, state)?,
            ..Plan::default()
        })
    }

    fn apply(_: &C::Params, _: &dyn Host, step: &Infallible, (): &mut ()) -> Result<()> {
        match *step {}
    }

    fn report(params: &C::Params, state: &C::State, _: &C::State, (): &()) -> C::Returned {
        C::report(params, state)
    }
}
