//! Reports as Sentry takes them: an envelope each, posted to the project.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, Request};

use super::{client::Client, drain::Carrier};

/// An envelope, written out.
pub(in crate::telemetry) type Report = Bytes;

/// A project, and what opens it.
#[derive(Clone)]
pub(in crate::telemetry) struct Address {
    pub(in crate::telemetry) url: String,
    /// The header `X-Sentry-Auth`.
    pub(in crate::telemetry) authority: String,
}

/// Sends reports.
pub(super) struct Reports {
    address: Address,
    client: Client,
}

impl Reports {
    pub(super) fn to(address: Address, within: Duration) -> Self {
        Self { address, client: Client::new(within) }
    }

    async fn post(&self, report: Report) -> Result<(), String> {
        let Address { url, authority } = &self.address;
        let request = Request::post(url)
            .header("content-type", "application/x-sentry-envelope")
            .header("x-sentry-auth", authority)
            .body(report)
            .map_err(|error| error.to_string())?;
        let answer = self.client.send_bytes(request).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("answered {}", answer.status().as_u16())) }
    }
}

impl Carrier<Report> for Reports {
    const WHAT: &str = "reports for Sentry";

    /// One after the other. After a failure all are sent again, which Sentry knows by their identifiers.
    async fn carry(&self, batch: Vec<Report>) -> Result<(), String> {
        for report in batch {
            self.post(report).await?;
        }
        Ok(())
    }
}
