//! What people, scripts and a monitoring system see of the real agent, which beats to a server beside it.

#[cfg(test)]
mod abuse;
#[cfg(test)]
mod camera;
#[cfg(test)]
mod command;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod history;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod token;
