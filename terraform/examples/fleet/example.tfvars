# A deployment after its vault was made. For the first apply leave out `running` and `release`, and see
# ../../README.md for the order.
region          = "eu-central-1"
deployment      = "treasury"
vault           = "main"
administrators  = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
break_glass     = ["arn:aws:iam::111122223333:role/BreakGlass"]
auditors        = ["arn:aws:iam::111122223333:role/Auditor"]
vpc_id          = "vpc-0123456789abcdef0"
subnet_ids      = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
route_table_ids = ["rtb-0123456789abcdef0"]
clients         = { backend = "sg-0123456789abcdef0" }
ami_id          = "ami-0123456789abcdef0"
store_bucket    = "example-treasury-store"
trail_bucket    = "example-treasury-trail"
emails          = ["operations@example.com"]

running = [{
  measurements_file = "measurements.json"
  version           = "0.1.0"
  pcr16             = "9c1cbbd1f6a8c1b2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a"
  manifest_hash     = "b7e23ec29af22b0b4e41da31e868d57226121c84b7e23ec29af22b0b4e41da31e868d57226121c84b7e23ec29af22b0b"
}]

release = {
  bucket = "example-treasury-releases"
  files = {
    nitro_signer       = { key = "0.1.0/nitro-signer", sha256 = "1111111111111111111111111111111111111111111111111111111111111111" }
    enclave_eif        = { key = "0.1.0/enclave.eif", sha256 = "2222222222222222222222222222222222222222222222222222222222222222" }
    measurements       = { key = "0.1.0/measurements.json", sha256 = "3333333333333333333333333333333333333333333333333333333333333333" }
    manifest           = { key = "0.1.0/manifest.cbor", sha256 = "4444444444444444444444444444444444444444444444444444444444444444" }
    server_certificate = { key = "tls/server.pem", sha256 = "5555555555555555555555555555555555555555555555555555555555555555" }
    server_key         = { key = "tls/server.key", sha256 = "6666666666666666666666666666666666666666666666666666666666666666" }
    client_ca          = { key = "tls/clients.pem", sha256 = "7777777777777777777777777777777777777777777777777777777777777777" }
  }
}
