//! A ParaTime: a number that anyone can raise (`add {"amount": 1}`) and read (`get`).
use paralith_sdk::{Call, Context, Error, Result, Runtime, args, export, reply, unknown_method};

/// Keeps its number in the state, under `count`.
pub struct Counter;
export!(Counter);
impl Runtime for Counter {
    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        let "add" = call.method.as_str() else { return unknown_method(call) };
        let sum = ctx.get::<u64>(b"count")?.unwrap_or(0).checked_add(args::<Add>(call)?.amount);
        let sum = sum.ok_or_else(|| Error::new(1, "the count would overflow"))?;
        ctx.set(b"count", &sum);
        reply(&sum)
    }
    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        let "get" = call.method.as_str() else { return unknown_method(call) };
        reply(&ctx.get::<u64>(b"count")?.unwrap_or(0))
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    amount: u64,
}

#[cfg(test)]
mod tests {
    use paralith_sdk::{json, testing::Chain};

    use super::*;

    #[test]
    fn everybody_counts_on() {
        let mut chain = Chain::new::<Counter>();
        assert_eq!(chain.query("get", &json!({})), Ok(b"0".to_vec()));
        assert_eq!(chain.sender("alice").call("add", &json!({"amount": 2})), Ok(b"2".to_vec()));
        chain.next_round();
        assert_eq!(chain.sender("bob").call("add", &json!({"amount": 3})), Ok(b"5".to_vec()));
        assert_eq!(chain.query("get", &json!({})), Ok(b"5".to_vec()));
    }

    #[test]
    fn a_refused_call_leaves_the_count() {
        let mut chain = Chain::new::<Counter>();
        chain.sender("alice").call("add", &json!({"amount": u64::MAX})).unwrap();
        let refused = [
            ("add", json!({"amount": 1}), "runtime", 1),
            ("add", json!({"amount": -1}), "sdk", 4),
            ("add", json!({"amount": 1, "twice": true}), "sdk", 4),
            ("take", json!({}), "sdk", 3),
        ];
        for (method, args, module, code) in refused {
            let error = chain.sender("alice").call(method, &args).unwrap_err();
            assert_eq!((error.module.as_str(), error.code), (module, code), "{method} {args}");
        }
        assert_eq!(chain.query("get", &json!({})), Ok(u64::MAX.to_string().into_bytes()));
    }
}
