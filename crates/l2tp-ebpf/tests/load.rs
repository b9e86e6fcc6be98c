#[test]
fn load() {
    let p = l2tp_ebpf::FastPath::load();
    println!("{p:?}");
    p.unwrap();
}
