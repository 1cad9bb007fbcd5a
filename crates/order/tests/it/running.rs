//! Processes of this test. Each lives in a runtime of its own, so that it can die without a word: its sockets are closed, and nothing is
//! released, flushed or committed.

use std::process::ExitCode;
use std::time::Duration;

use kit::boot::Process;
use kit::config::{Drain, Listen, LogFormat, ProcessArgs, Servers, Telemetry};
use order::Config;
use proto::order::v1::order_service_client::OrderServiceClient;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// A process, running.
pub struct Running {
    /// Nothing once it has ended.
    runtime: Option<Runtime>,
    process: Process,
    ended: Option<JoinHandle<ExitCode>>,
}

impl Running {
    /// A process that does what it is given.
    pub async fn start<T: Send + 'static>(
        work: impl FnOnce(Process) -> futures::future::BoxFuture<'static, T>,
    ) -> (Self, T) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let process =
            runtime.spawn(async { Process::start(&args(), proto::DESCRIPTORS).await.unwrap() }).await.unwrap();
        let made = runtime.spawn(work(process.clone())).await.unwrap();
        let ended = Some(runtime.spawn(process.clone().run_to_end()));
        (Self { runtime: Some(runtime), process, ended }, made)
    }

    /// The service under test.
    pub async fn order(servers: &Servers, config: &Config) -> Self {
        let (servers, config) = (servers.clone(), config.clone());
        let work = move |process: Process| -> futures::future::BoxFuture<'static, ()> {
            Box::pin(async move { drop(order::run(&config, &servers, &process).await.unwrap()) })
        };
        Self::start(work).await.0
    }

    /// A client of it.
    pub async fn client(&self) -> OrderServiceClient<Channel> {
        let url = format!("http://{}", self.process.grpc_addr());
        OrderServiceClient::connect(url).await.unwrap()
    }

    /// Drains it, as SIGTERM does.
    pub async fn stop(mut self) {
        self.process.stop();
        assert_eq!(self.ended.take().unwrap().await.unwrap(), ExitCode::SUCCESS);
    }

    /// It dies where it stands.
    pub fn die(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn args() -> ProcessArgs {
    let any = "127.0.0.1:0".parse().unwrap();
    ProcessArgs {
        listen: Listen { grpc_addr: any, admin_addr: any, insecure: false },
        telemetry: Telemetry {
            log_format: LogFormat::Pretty,
            log_filter: "off".to_owned(),
            otlp_endpoint: None,
            trace_ratio: 0.0,
            service_name: "bus".to_owned(),
        },
        drain: Drain { grace: Duration::from_secs(20), linger: Duration::ZERO },
    }
}
