//! The RPC face: POST only. Data operations answer 202 once they are durable; control calls answer 200.

pub(crate) mod operation;
pub(crate) mod past;
pub(crate) mod record;
pub(crate) mod subscription;
pub(crate) mod upload;
