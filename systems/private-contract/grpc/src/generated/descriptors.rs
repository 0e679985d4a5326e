// Made by `make protos`.
&[
    include_bytes!("paralith.contract.rpc.v1.bin"),
]
