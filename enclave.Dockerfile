# The enclave's image for `nitro-cli build-enclave`: one static binary and nothing else, to run under
# nitro-cli's own init and kernel. parent/deploy/build-enclave-image calls it with everything it needs.
#
# RUST_IMAGE is the image to compile in, by digest: name@sha256:…, of the Rust release that
# rust-toolchain.toml names, with gcc. It has no default: whoever builds chooses it, writes it down,
# and who builds again uses the same. Set it by --build-arg RUST_IMAGE=name@sha256:… .
ARG RUST_IMAGE

# The network is here, and nothing of ours runs.
FROM ${RUST_IMAGE} AS fetch
ARG RUST_IMAGE
RUN case "$RUST_IMAGE" in *@sha256:????????????????????????????????????????????????????????????????) ;; \
    *) echo "RUST_IMAGE is not set to an image by digest: pass --build-arg RUST_IMAGE=name@sha256:..." >&2; exit 1 ;; esac
ENV CARGO_HOME=/cargo
WORKDIR /src
COPY . .
# The image's own toolchain: rust-toolchain.toml would have others fetched. It must be the same one.
RUN release=$(cd / && rustc --version | cut -d ' ' -f 2) && \
    grep -q "^channel = \"$release\"$" rust-toolchain.toml || \
    { echo "RUST_IMAGE has another Rust than rust-toolchain.toml names" >&2; exit 1; } && \
    rm rust-toolchain.toml
RUN cargo fetch --locked --target x86_64-unknown-linux-gnu

# Third-party code runs here, in build scripts, and there is no network.
FROM fetch AS build
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=src --remap-path-prefix=/cargo=cargo"
RUN --network=none cargo build --locked --offline -p nitro-signer-enclave --profile enclave \
    --target x86_64-unknown-linux-gnu
RUN --network=none mkdir /out && \
    cp target/x86_64-unknown-linux-gnu/enclave/nitro-signer-enclave /out/nitro-signer-enclave && \
    touch -d @0 /out/nitro-signer-enclave

# No shell, no library, no file that is not ours.
FROM scratch
COPY --from=build /out/nitro-signer-enclave /nitro-signer-enclave
CMD ["/nitro-signer-enclave"]
