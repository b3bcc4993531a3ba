//! The report of a beat and its request, put together from what the device is and has now.

use core::net::IpAddr;

use super::EventLoop;
use crate::config::Secret;
use crate::proto::event::{Attempt, Reason};
use crate::wire::report::{Note, REPORT_MAX, Report};
use crate::wire::request;

impl EventLoop {
    /// Writes the request that carries beat `seq` over `attempt` into `buffer`; `None` if there is nowhere to send it.
    pub(super) fn compose(
        &mut self,
        attempt: Attempt,
        seq: u64,
        reason: &Reason,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let local = self.sessions.find(attempt).map(|(connection, _)| connection.local().ip())?;
        let mut body = [0; REPORT_MAX];
        let length = self.emit_report(Some(local), seq, reason, &mut body)?;
        let config = &self.setup.config;
        let token = config.token_code.as_ref().map(Secret::expose);
        let (url, key) = (config.api_url.as_ref()?, config.device_key.as_deref()?);
        let request = request::emit(buffer, url, key, token, body.get(..length)?);
        request.inspect_err(|_| log::error!("the request does not fit its buffer")).ok()
    }

    /// Writes the report as JSON and returns its length. `local` is the address that it leaves from.
    pub(super) fn emit_report(
        &mut self,
        local: Option<IpAddr>,
        seq: u64,
        reason: &Reason,
        body: &mut [u8],
    ) -> Option<usize> {
        let timestamp = self.wall.timestamp(self.now);
        let (mac, uplink_address) = self.agent.identity(local);
        // A server on the camera itself sees 127.0.0.1, which says nothing about the camera.
        let ip = local.filter(|ip| !ip.is_loopback()).or(uplink_address);
        let identity = &self.setup.identity;
        let model = Some(identity.model.as_str()).filter(|model| !model.is_empty());
        let report = Report {
            ip_address: ip,
            ip_lan: ip,
            mac,
            note: Some(Note { project: &self.setup.config.description, model, ip_lan: ip }),
            timestamp,
            reason: Some(reason),
            seq: Some(seq),
            boot_id: Some(identity.boot_id.as_str()).filter(|id| !id.is_empty()),
            ..self.vitals.read()
        };
        report.emit(body).inspect_err(|_| log::error!("the report does not fit its buffer")).ok()
    }
}
