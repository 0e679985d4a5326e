// Made by `make protos`.
&[
    include_bytes!("paralith.beacon.v1.bin"),
    include_bytes!("paralith.consensus.v1.bin"),
    include_bytes!("paralith.error.v1.bin"),
    include_bytes!("paralith.host.v1.bin"),
    include_bytes!("paralith.keymanager.v1.bin"),
    include_bytes!("paralith.node.v1.bin"),
    include_bytes!("paralith.paratime.v1.bin"),
    include_bytes!("paralith.registry.v1.bin"),
    include_bytes!("paralith.roothash.v1.bin"),
    include_bytes!("paralith.scheduler.v1.bin"),
    include_bytes!("paralith.staking.v1.bin"),
    include_bytes!("paralith.worker.v1.bin"),
]
