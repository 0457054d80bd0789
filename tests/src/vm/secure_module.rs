//! The mock secure module as a virtio device, by vhost-user: Linux's own nsm driver binds to it and
//! gives the guest a real /dev/nsm.
//!
//! The driver posts two chains a request, the request and then room for the answer, and expects
//! both to be used in that order (drivers/misc/nsm.c). The device has one queue and no
//! configuration; its id is 33 (VIRTIO_ID_NITRO_SEC_MOD).

use crate::nsm::MockNsm;
use aws_nitro_enclaves_nsm_api::api::{ErrorCode, Request, Response};
use nitro_signer_enclave::nsm::SecureModule;
use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use vhost::vhost_user::Listener;
use vhost::vhost_user::message::VhostUserProtocolFeatures;
use vhost_user_backend::{VhostUserBackendMut, VhostUserDaemon, VringRwLock, VringT};
use virtio_queue::QueueT;
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;

type Memory = GuestMemoryAtomic<GuestMemoryMmap>;

/// The longest request, in bytes: the driver's own limit.
const MAX_REQUEST: usize = 0x1000;
/// VIRTIO_F_VERSION_1 and VHOST_USER_F_PROTOCOL_FEATURES.
const FEATURES: u64 = 1 << 32 | 1 << 30;

struct Device {
    module: Arc<MockNsm>,
    memory: Option<Memory>,
}

/// Serves the module on this socket until the virtual machine that connects is gone. The socket is
/// bound when this returns.
///
/// # Errors
/// If it cannot be bound.
pub(super) fn serve(module: Arc<MockNsm>, socket: &Path) -> io::Result<JoinHandle<()>> {
    let device = Arc::new(RwLock::new(Device { module, memory: None }));
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let mut daemon = VhostUserDaemon::new("nsm".to_owned(), device, memory).map_err(failed)?;
    let mut listener = Listener::new(socket, true).map_err(failed)?;
    Ok(std::thread::spawn(move || {
        // The machine's end shows as a broken connection, which is no fault.
        let _ = daemon.start(&mut listener);
        let _ = daemon.wait();
    }))
}

fn failed(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

impl Device {
    /// Carries out one request's bytes and gives the answer's.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let response = match serde_cbor::from_slice::<Request>(request) {
            Ok(request) => self.module.process(request),
            Err(_) => Response::Error(ErrorCode::InvalidArgument),
        };
        serde_cbor::to_vec(&response).expect("responses always encode")
    }

    /// Serves what the driver has posted.
    fn serve_queue(&self, ring: &VringRwLock) -> io::Result<()> {
        let Some(memory) = &self.memory else { return Ok(()) };
        let memory = memory.memory();
        let mut posted: Option<(u16, Vec<u8>)> = None;
        loop {
            let chain = ring.get_mut().get_queue_mut().pop_descriptor_chain(memory.clone());
            let Some(chain) = chain else { return Ok(()) };
            let head = chain.head_index();
            let (mut request, mut room) = (Vec::new(), Room(Vec::new()));
            for part in chain {
                if part.is_write_only() {
                    room.0.push((part.addr(), part.len() as usize));
                } else {
                    let mut bytes = vec![0; (part.len() as usize).min(MAX_REQUEST)];
                    memory.read_slice(&mut bytes, part.addr()).map_err(failed)?;
                    request.extend(bytes);
                }
            }
            if room.0.is_empty() {
                posted = Some((head, request));
                continue;
            }
            let Some((request_head, request)) = posted.take() else {
                return Err(io::Error::other("room for an answer without a request"));
            };
            let length = room.fill(&memory, &self.answer(&request))?;
            ring.add_used(request_head, 0).map_err(failed)?;
            ring.add_used(head, length).map_err(failed)?;
            ring.signal_used_queue()?;
        }
    }
}

/// Room in the guest's memory.
struct Room(Vec<(GuestAddress, usize)>);

impl Room {
    /// Writes the bytes; the number written.
    fn fill(&self, memory: &GuestMemoryMmap, mut bytes: &[u8]) -> io::Result<u32> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        for (address, room) in &self.0 {
            let (now, later) = bytes.split_at(bytes.len().min(*room));
            memory.write_slice(now, *address).map_err(failed)?;
            bytes = later;
        }
        if bytes.is_empty() { Ok(length) } else { Err(io::Error::other("no room for the answer")) }
    }
}

impl VhostUserBackendMut for Device {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        1
    }

    fn max_queue_size(&self) -> usize {
        256
    }

    fn features(&self) -> u64 {
        FEATURES
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::CONFIG | VhostUserProtocolFeatures::MQ
    }

    fn get_config(&self, _offset: u32, size: u32) -> Vec<u8> {
        vec![0; size as usize]
    }

    fn set_event_idx(&mut self, _enabled: bool) {}

    fn update_memory(&mut self, memory: Memory) -> io::Result<()> {
        self.memory = Some(memory);
        Ok(())
    }

    fn handle_event(
        &mut self,
        _event: u16,
        _events: EventSet,
        rings: &[VringRwLock],
        _thread: usize,
    ) -> io::Result<()> {
        self.serve_queue(&rings[0])
    }
}
