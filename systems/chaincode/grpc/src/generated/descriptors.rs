// Made by `make protos`.
&[
    include_bytes!("paralith.chaincode.rpc.v1.bin"),
]
