//! A kernel's tables in small, for tests: what is put in is what questions are answered from.

use std::vec::Vec;

use super::super::{Route, RouteQuestion, contains};
use crate::proto::link::LinkIndex;
use core::net::IpAddr;

const MAIN: u32 = 254;
const LOCAL: u32 = 255;

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) index: LinkIndex,
    pub(crate) network: IpAddr,
    pub(crate) prefix: u8,
    pub(crate) table: u32,
    pub(crate) metric: u32,
    pub(crate) gateway: Option<IpAddr>,
}

impl Entry {
    /// A route of table main without a gateway.
    pub(crate) fn new(index: u32, network: &str, prefix: u8, metric: u32) -> Self {
        let network = network.parse().expect("an address");
        Self { index: LinkIndex(index), network, prefix, table: MAIN, metric, gateway: None }
    }
}

/// Addresses and routes; those of a table other than main come first, as by a rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    pub(crate) addresses: Vec<(LinkIndex, IpAddr)>,
    pub(crate) entries: Vec<Entry>,
}

impl Tables {
    pub(crate) fn address(&mut self, index: u32, ip: &str) {
        let ip = ip.parse().expect("an address");
        self.addresses.push((LinkIndex(index), ip));
    }

    pub(crate) fn drop_address(&mut self, ip: &str) {
        let ip: IpAddr = ip.parse().expect("an address");
        self.addresses.retain(|(_, it)| *it != ip);
    }

    pub(crate) fn answer(&self, question: RouteQuestion) -> Option<Route> {
        let RouteQuestion { to, bound } = question;
        if let Some(&(index, _)) = self.addresses.iter().find(|(_, it)| *it == to) {
            let local = bound.is_none().then_some(Route {
                question,
                index,
                local: true,
                table: LOCAL,
                prefix: 32,
                metric: 0,
                gateway: None,
                source: Some(to),
            });
            return local;
        }
        if let Some(index) = bound.filter(|_| to.is_multicast()) {
            let has = |(it, address): &&(LinkIndex, IpAddr)| *it == index && address.is_ipv4();
            let source = self.addresses.iter().find(has).map(|(_, address)| *address);
            return source.map(|source| Route {
                question,
                index,
                local: false,
                table: 0,
                prefix: 32,
                metric: 0,
                gateway: None,
                source: Some(source),
            });
        }
        let leads = |entry: &&Entry| {
            contains(entry.network, entry.prefix, to) && bound.is_none_or(|it| it == entry.index)
        };
        let order = |entry: &&Entry| (entry.table == MAIN, u8::MAX - entry.prefix, entry.metric);
        let entry = self.entries.iter().filter(leads).min_by_key(order)?;
        let fits = |(index, it): &&(LinkIndex, IpAddr)| {
            let local = match it {
                IpAddr::V4(v4) => v4.is_link_local() && entry.prefix == 0,
                IpAddr::V6(v6) => v6.is_unicast_link_local(),
            };
            *index == entry.index && it.is_ipv4() == to.is_ipv4() && !local
        };
        Some(Route {
            question,
            index: entry.index,
            local: false,
            table: entry.table,
            prefix: entry.prefix,
            metric: entry.metric,
            gateway: entry.gateway,
            source: self.addresses.iter().find(fits).map(|(_, it)| *it),
        })
    }
}
