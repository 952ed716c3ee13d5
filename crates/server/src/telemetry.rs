//! Logs to the error stream, traces to a collector when one is configured.

use std::time::Duration;

use anyhow::{Context as _, Result};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SdkTracerProvider},
};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::FilterFn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Config, LogFormat};

/// The target of spans that are for the collector and no log line.
const TRACE_ONLY: &str = "plasma::trace";
/// The collector answers within this time or the batch is lost.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps the export of traces running.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Installs the process's logging. Outside of the runtime: traces are sent by a thread of their own, so that a slow
    /// collector never holds up a request.
    ///
    /// # Errors
    /// When the collector's address or the filter cannot be used, or logging is installed already.
    pub fn install(config: &Config) -> Result<Self> {
        let filter = EnvFilter::try_new(&config.log_level).context("log_level")?;
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(true);
        let lines = match config.log_format {
            LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
            LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        };
        let traces = match &config.otlp_endpoint {
            Some(endpoint) => Some(exporter(endpoint)?),
            None => None,
        };
        let spans = traces.as_ref().map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("plasma")));
        // Spans that only a collector needs: without one they cost nothing.
        let lines = lines.with_filter(FilterFn::new(|metadata| metadata.target() != TRACE_ONLY));
        let filter = match &spans {
            Some(_) => filter.add_directive(format!("{TRACE_ONLY}=info").parse().context("traces")?),
            None => filter.add_directive(format!("{TRACE_ONLY}=off").parse().context("traces")?),
        };
        tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init().context("logging")?;
        // A panic is a bug, and a line of the log like any other.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic.payload_as_str().unwrap_or_default();
            tracing::error!(place, message, "a panic");
        }));
        Ok(Self { traces })
    }

    /// Sends what is left to the collector. Outside of the runtime.
    pub fn stop(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider> {
    let traces = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let client = reqwest::blocking::Client::builder().timeout(EXPORT_TIMEOUT).build().context("otlp_endpoint")?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(traces)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .context("otlp_endpoint")?;
    let processor = BatchSpanProcessor::builder(exporter).build();
    let resource = Resource::builder()
        .with_service_name("plasma")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource).build())
}
