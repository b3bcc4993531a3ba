//! Assembly of a beat's report and request from the current state of the device.

use super::EventLoop;
use super::setup::Setup;
use crate::config::Secret;
use linkbeat_core::proto::agent::Identity;
use linkbeat_core::proto::event::{ConnectionId, Reason};
use linkbeat_core::wire::report::unreported::Unreported;
use linkbeat_core::wire::report::{DeviceNote, REPORT_MAX, Report};
use linkbeat_core::wire::request;

impl EventLoop {
    /// Writes the request that carries beat `seq` over `id` into `buffer`; `None` if there is
    /// nowhere to send it.
    pub(super) fn compose(
        &mut self,
        id: ConnectionId,
        seq: u64,
        reason: &Reason,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let mut body = [0; REPORT_MAX];
        let length = self.emit_report(Some(id), seq, reason, &mut body)?;
        let body = body.get(..length)?;
        self.reporter.keep_report(seq, body);
        let config = &self.setup.config;
        let token = config.token_code.as_ref().map(Secret::expose);
        let (url, key) = (config.api_url.as_ref()?, config.device_key.as_deref()?);
        let request = request::emit(buffer, url, key, token, body);
        request.inspect_err(|_| log::error!("the request does not fit its buffer")).ok()
    }

    /// Writes the report as JSON and returns its length; `None` if the connection that it is for is
    /// gone. On a metered uplink, what that connection has carried before is left out.
    pub(super) fn emit_report(
        &mut self,
        connection: Option<ConnectionId>,
        seq: u64,
        reason: &Reason,
        body: &mut [u8],
    ) -> Option<usize> {
        let local = match connection {
            Some(id) => Some(self.sessions.find(id)?.0.local().ip()),
            None => None,
        };
        let timestamp = self.wall.timestamp(self.now);
        let boot_date = self.wall.boot_date();
        let identity = self.agent.identity(local);
        let is_known = connection.is_some_and(|id| self.sessions.note_sent(id, identity));
        let Identity { mac, address, public } = identity;
        // A server on the camera itself sees 127.0.0.1, which does not identify the camera.
        let ip = local.filter(|ip| !ip.is_loopback()).or(address);
        let Setup { identity, config, .. } = &self.setup;
        let model = Some(identity.model.as_str()).filter(|model| !model.is_empty());
        let note = DeviceNote { project: &config.description, model, ip_lan: ip };
        let report = Report {
            ip_address: ip,
            ip_lan: ip,
            ip_public: public,
            mac,
            note: Some(note).filter(|_| config.note),
            timestamp,
            reason: Some(reason),
            seq: Some(seq),
            stopping: self.stopping.map(|stopping| stopping.word),
            next_within_s: Some(self.agent.next_within(self.now).as_secs()),
            boot_id: Some(identity.boot_id.as_str()).filter(|id| !id.is_empty()),
            standby: Some(self.agent.standby()),
            unreported: Some(Unreported {
                outages: self.agent.outages(),
                now: self.now,
                boot_date,
            }),
            ..self.vitals.read()
        };
        let abridged = is_known && self.agent.is_metered();
        let report = if abridged { report.abridged() } else { report };
        report.emit(body).inspect_err(|_| log::error!("the report does not fit its buffer")).ok()
    }
}
