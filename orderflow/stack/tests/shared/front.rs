//! nginx and `HAProxy` by the files of `orderflow/deploy`, in front of instances of a test's own.

use orderflow_servers::{HaProxy, Nginx, free_port, needs};
use orderflow_stack::{certificate::Certificate, files::Places};

/// Both proxies, or one of them.
pub(crate) struct Front {
    pub(crate) nginx: Option<Nginx>,
    pub(crate) haproxy: Option<HaProxy>,
    pub(crate) places: Places,
    pub(crate) certificate: Certificate,
}

impl Front {
    /// Proxies in front of these ports of 127.0.0.1; `None` where nothing of it is installed.
    #[track_caller]
    pub(crate) fn of(instances: &[u16], limits: [u32; 3]) -> Option<Self> {
        let certificate = needs(Certificate::new())?;
        let three = || [(); 3].map(|()| free_port().unwrap());
        let places = Places {
            instances: instances.iter().map(|port| format!("127.0.0.1:{port}")).collect(),
            nginx: three(),
            haproxy: three(),
            certificate: certificate.path().display().to_string(),
            limits,
        };
        let nginx = needs(Nginx::start(&places.nginx().unwrap()));
        let haproxy = needs(HaProxy::start(&places.haproxy().unwrap()));
        (nginx.is_some() || haproxy.is_some()).then_some(Self { nginx, haproxy, places, certificate })
    }

    /// The ports of those that are there: name, plain HTTP, TLS, and for programs on this machine.
    pub(crate) fn ports(&self) -> Vec<(&'static str, [u16; 3])> {
        let nginx = self.nginx.is_some().then_some(("nginx", self.places.nginx));
        let haproxy = self.haproxy.is_some().then_some(("haproxy", self.places.haproxy));
        nginx.into_iter().chain(haproxy).collect()
    }
}
