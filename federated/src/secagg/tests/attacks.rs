//! What a hostile server, a hostile site and a hostile helper's customer try; each is refused, by name.

use super::*;

/// The state of one site after `steps` answers in an honest round, and the message that the server sends it next.
fn reach(net: &mut Net, steps: usize) -> Delivery {
    for _ in 0..steps {
        assert!(net.step(|_, answer| Some(answer)).unwrap().is_none());
    }
    net.server.advance().unwrap()
}

fn take(net: &mut Net) -> (u32, Site) {
    let (site, state) = net.sites.values_mut().next().unwrap();
    (*site, state.take().unwrap())
}

fn refusal(net: &mut Net, message: &ToSite) -> Refusal {
    let (site, state) = take(net);
    answer(site, state, message).map(|_| ()).unwrap_err()
}

fn roster(net: &mut Net) -> v1::Roster {
    match reach(net, 0) {
        Delivery::Same { message: ToSite::Roster(roster), .. } => roster,
        other => panic!("{other:?}"),
    }
}

/// Each site's message about the survivors, by its key.
fn survivors(net: &mut Net) -> BTreeMap<[u8; 32], v1::Survivors> {
    let Delivery::Each(each) = reach(net, 2) else { panic!("survivors come next") };
    let read = |message| match message {
        ToSite::Survivors(m) => m,
        other => panic!("{other:?}"),
    };
    each.into_iter().map(|(key, message)| (key, read(message))).collect()
}

fn net() -> Net {
    Net::new(terms(20), 0..25)
}

#[test]
fn a_server_that_swaps_a_key_is_refused() {
    for field in 0..3 {
        let mut net = net();
        let mut roster = roster(&mut net);
        let other = &roster.members[14];
        let other = [other.channel_key.clone(), other.mask_key.clone(), other.commitment.clone()];
        let victim = &mut roster.members[13];
        let key =
            [&mut victim.channel_key, &mut victim.mask_key, &mut victim.commitment].into_iter().nth(field).unwrap();
        // Another site's key, as a server would put its own: a key that is none is refused before its signature is looked at.
        *key = other[field].clone();
        assert_eq!(refusal(&mut net, &ToSite::Roster(roster)), Refusal::Forged(13));
    }
}

#[test]
fn a_server_that_invents_sites_is_refused() {
    let mut net = net();
    let mut roster = roster(&mut net);
    let stranger = SigningKey::from([77; 32]);
    let forged = enrol(&stranger, &(&stranger).into());
    let (_, fake) = Advertised::start(terms(20), &any(), trusted(), Identity::new(stranger, forged)).unwrap();
    let at = roster.members.partition_point(|m| m.identity < fake.identity);
    roster.members.insert(at, fake);
    assert_eq!(refusal(&mut net, &ToSite::Roster(roster)), Refusal::NotEnrolled(at as u32));
}

#[test]
fn a_server_that_counts_one_site_twice_is_refused() {
    let mut net = net();
    let mut roster = roster(&mut net);
    let twin = roster.members[5].clone();
    roster.members.insert(5, twin);
    assert_eq!(refusal(&mut net, &ToSite::Roster(roster)), Refusal::Disorder);
}

#[test]
fn a_server_that_replays_the_keys_of_another_round_is_refused() {
    let mut net = net();
    let mut roster = roster(&mut net);
    let other = terms_of(2, 20, Risk::new(100, 200, 40, 20).unwrap(), 32);
    let (_, old) = Advertised::start(other, &any(), trusted(), identity(4)).unwrap();
    let at = roster.members.iter().position(|m| m.identity == old.identity).unwrap();
    roster.members[at] = old;
    assert!(matches!(refusal(&mut net, &ToSite::Roster(roster)), Refusal::Forged(i) if i as usize == at));
}

#[test]
fn a_tiny_cohort_is_refused_at_every_step() {
    let few = |what: &Refusal| matches!(what, Refusal::TooFew { .. });
    let mut first = net();
    let mut small = roster(&mut first);
    small.members.truncate(19);
    assert!(few(&refusal(&mut first, &ToSite::Roster(small))));

    let mut second = net();
    let Delivery::Each(mut deliveries) = reach(&mut second, 1) else { panic!("shares come next") };
    let ToSite::Shares(delivery) = &mut deliveries[0].1 else { panic!("shares come next") };
    delivery.sharers = vec![0xff, 0xff, 0x07, 0];
    assert!(few(&refusal(&mut second, &deliveries[0].1)));

    let mut third = net();
    let _ = survivors(&mut third);
    let told = v1::Survivors { members: vec![0xff, 0xff, 0x07, 0], neighbours: vec![] };
    assert!(few(&refusal(&mut third, &ToSite::Survivors(told))));
}

/// The classic: "A survived" to one half and "A vanished" to the other would give both of A's secrets.
#[test]
fn a_server_that_lies_about_survivors_learns_no_share() {
    let mut net = net();
    let honest = survivors(&mut net);
    let all = vec![0xff, 0xff, 0xff, 0x01];
    let without = vec![0xff, 0xff, 0xef, 0x01];
    let mut proofs = [v1::SurvivorsProof::default(), v1::SurvivorsProof::default()];
    let mut signed = Vec::new();
    for (turn, (key, (site, state))) in net.sites.iter_mut().enumerate() {
        let mut told = honest[key].clone();
        told.members = if turn % 2 == 0 { all.clone() } else { without.clone() };
        let state = state.take().unwrap();
        match answer(*site, state, &ToSite::Survivors(told)) {
            Ok((state, ToServer::Signature(s))) => {
                proofs[turn % 2].signatures.push(v1::MemberSignature { member: turn as u32, signature: s.signature });
                signed.push((turn, *site, state.unwrap()));
            }
            Ok(_) => panic!("a signature comes next"),
            Err(refusal) => assert_eq!(refusal, Refusal::LeftOut("survivors")),
        }
    }
    let both = v1::SurvivorsProof { signatures: [&proofs[0].signatures[..], &proofs[1].signatures].concat() };
    for (turn, site, state) in signed {
        // Own half: too few. Both halves: some signatures are under another set.
        let proof = if site % 2 == 0 { proofs[turn % 2].clone() } else { both.clone() };
        let refusal = answer(site, state, &ToSite::Proof(proof)).map(|_| ()).unwrap_err();
        assert!(matches!(refusal, Refusal::TooFew { .. } | Refusal::Forged(_) | Refusal::Stranger(_)), "{refusal}");
    }
}

#[test]
fn a_server_that_tells_each_half_that_the_other_never_shared_learns_no_share() {
    let mut net = net();
    let Delivery::Each(deliveries) = reach(&mut net, 1) else { panic!("shares come next") };
    let mut proofs = v1::SurvivorsProof::default();
    let mut signed = Vec::new();
    for (turn, (key, message)) in deliveries.into_iter().enumerate() {
        let ToSite::Shares(mut delivery) = message else { panic!("shares come next") };
        let (site, state) = net.sites.get_mut(&key).unwrap();
        if turn % 2 == 1 {
            // The odd ones are told that members 0 and 2 did not share.
            delivery.sharers[0] &= !0b101;
            delivery.shares.retain(|s| s.member != 0 && s.member != 2);
        }
        let (state, _) = answer(*site, state.take().unwrap(), &ToSite::Shares(delivery)).unwrap();
        let told = v1::Survivors { members: vec![0xfa, 0xff, 0xff, 0x01], neighbours: vec![] };
        if let Ok((state, ToServer::Signature(s))) = answer(*site, state.unwrap(), &ToSite::Survivors(told)) {
            proofs.signatures.push(v1::MemberSignature { member: turn as u32, signature: s.signature });
            signed.push((*site, state.unwrap()));
        }
    }
    assert!(signed.len() >= 20);
    for (site, state) in signed {
        let refusal = answer(site, state, &ToSite::Proof(proofs.clone())).map(|_| ()).unwrap_err();
        assert!(matches!(refusal, Refusal::Forged(_)), "{refusal}");
    }
}

/// By naming survivors that leave a short piece of the ring, a server would learn a sum over few sites. The sites at the
/// piece's ends keep their masks, because too few may reveal them, even with every colluding site.
#[test]
fn a_piece_cut_out_of_the_ring_stays_masked() {
    let terms = terms_of(1, 100, Risk::new(5, 30, 40, 10).unwrap(), 32);
    let mut net = Net::new(terms, 0..160);
    let Delivery::Same { message: ToSite::Roster(message), .. } = net.server.advance().unwrap() else {
        panic!("the roster comes first")
    };
    let roster = super::super::roster::Roster::read(&message, &terms, &trusted()).unwrap();
    let (ring, p) = (roster.graph.ring(), roster.parameters);
    let half = p.degree() / 2;
    assert!(p.degree() + 1 < 160 && 160 - 2 * half >= 100, "{p:?}");
    let everyone: Vec<[u8; 32]> = net.sites.keys().copied().collect();
    let answers = net.tell(everyone.iter().map(|key| (*key, ToSite::Roster(message.clone()))));
    answers.into_iter().for_each(|(key, answer)| net.server.receive(&key, answer).unwrap());
    let Delivery::Each(each) = net.server.advance().unwrap() else { panic!("shares come next") };
    let answers = net.tell(each);
    answers.into_iter().for_each(|(key, answer)| net.server.receive(&key, answer).unwrap());
    let Delivery::Each(each) = net.server.advance().unwrap() else { panic!("survivors come next") };

    // A piece of twenty between two stretches of half a degree that are called vanished.
    let piece = &ring[half..half + 20];
    let vanished: Vec<u32> = ring[..half].iter().chain(&ring[half + 20..2 * half + 20]).copied().collect();
    let mut survivors = Members::none(160);
    (0..160).filter(|m| !vanished.contains(m)).for_each(|m| {
        survivors.add(m);
    });
    let told = each.into_iter().map(|(key, message)| match message {
        ToSite::Survivors(m) => (key, ToSite::Survivors(v1::Survivors { members: survivors.write(), ..m })),
        other => panic!("{other:?}"),
    });
    let alive = |key: &[u8; 32]| survivors.contains(roster.index(key).unwrap());
    let told: Vec<_> = told.filter(|(key, _)| alive(key)).collect();
    let mut proof = v1::SurvivorsProof::default();
    for (key, answer) in net.tell(told) {
        let ToServer::Signature(s) = answer else { panic!("signatures come next") };
        let member = roster.index(&key).unwrap();
        proof.signatures.push(v1::MemberSignature { member, signature: s.signature });
    }
    let everyone = everyone.into_iter().filter(alive).map(|key| (key, ToSite::Proof(proof.clone())));
    let reveals = net.tell(everyone.collect::<Vec<_>>());
    let shares_of = |member: u32| {
        let gave = |answer: &ToServer| match answer {
            ToServer::Reveal(reveal) => reveal.own_masks.iter().any(|share| share.member == member),
            other => panic!("{other:?}"),
        };
        reveals.iter().filter(|(_, answer)| gave(answer)).count()
    };
    assert!(reveals.len() > 100);
    // Who is far from both cuts is opened; the first and the last of the piece are not.
    assert!(shares_of(ring[2 * half + 40]) >= p.threshold());
    let colluding = terms.risk().corrupt(160);
    for end in [piece[0], piece[19]] {
        assert!(shares_of(end) + colluding < p.threshold(), "{} of {p:?}", shares_of(end));
    }
}

/// Told alone that none of its neighbours shared, a site would mask towards nobody, and its own mask would be all that
/// covers it. Its neighbours, who were told the truth, do not open that one.
#[test]
fn a_server_that_lies_about_sharers_to_one_site_does_not_isolate_it() {
    let terms = terms_of(1, 100, Risk::new(5, 30, 40, 10).unwrap(), 32);
    let p = Parameters::derive(160, &terms.risk()).unwrap();
    assert!(p.degree() + 1 < 160 && p.degree() <= 60, "{p:?}");
    let mut net = Net::new(terms, 0..160);
    net.step(|_, answer| Some(answer)).unwrap();
    let Delivery::Each(mut deliveries) = net.server.advance().unwrap() else { panic!("shares come next") };
    let ToSite::Shares(delivery) = &mut deliveries[7].1 else { panic!("shares come next") };
    for neighbour in delivery.shares.drain(..) {
        delivery.sharers[neighbour.member as usize / 8] &= !(1 << (neighbour.member % 8));
    }
    let victim = 7;
    let mut vectors = BTreeMap::new();
    for (key, message) in deliveries {
        let (site, state) = net.sites.get_mut(&key).unwrap();
        let (next, reply) = answer(*site, state.take().unwrap(), &message).unwrap();
        *state = next;
        vectors.insert(key, reply);
    }
    // The server's own check would refuse the victim's vector; a hostile one goes on with a signature that does not fit.
    let signatures: Vec<Vec<u8>> = vectors
        .values()
        .map(|v| match v {
            ToServer::Masked(m) => m.signature.clone(),
            _ => panic!("vectors come next"),
        })
        .collect();
    let everyone = Members::read(&[0xff; 20], 160).unwrap();
    let mut opened = 0;
    let mut proof = v1::SurvivorsProof::default();
    let mut signed = Vec::new();
    for (member, (site, state)) in net.sites.values_mut().enumerate() {
        let neighbours =
            signatures.iter().zip(0..).map(|(s, n)| v1::MemberSignature { member: n, signature: s.clone() });
        let told = v1::Survivors { members: everyone.write(), neighbours: neighbours.collect() };
        if let Ok((next, ToServer::Signature(s))) = answer(*site, state.take().unwrap(), &ToSite::Survivors(told)) {
            proof.signatures.push(v1::MemberSignature { member: member as u32, signature: s.signature });
            signed.push((*site, next.unwrap()));
        }
    }
    proof.signatures.retain(|s| s.member != victim);
    for (site, state) in signed {
        if let Ok((_, ToServer::Reveal(reveal))) = answer(site, state, &ToSite::Proof(proof.clone())) {
            assert!(reveal.own_masks.iter().all(|share| share.member != victim));
            opened += usize::from(!reveal.own_masks.is_empty());
        }
    }
    assert!(opened > 150, "the others go on: {opened}");
}

#[test]
fn keys_that_agree_with_everyone_are_rejected() {
    let mut server = Server::new(terms(20), trusted(), 30);
    let (_, mut message) = Advertised::start(terms(20), &any(), trusted(), identity(1)).unwrap();
    message.mask_key = vec![0; 32];
    assert_eq!(server.receive(&identity(1).public(), ToServer::Advertisement(message)), Err(Rejected::Malformed));
}

#[test]
fn terms_below_what_a_device_demands_are_refused() {
    let start = |demands| Advertised::start(terms(20), &demands, trusted(), identity(1)).map(|_| ());
    let number = |minimum| CohortSize::new(minimum).unwrap();
    let refused = |what, offered, demanded| Err(Refusal::Demands { what, offered, demanded });
    assert_eq!(start(Demands { minimum: number(20), corrupt_per_mille: 100, security_bits: 40 }), Ok(()));
    assert_eq!(start(Demands { minimum: number(21), ..any() }), refused("smallest number of sites", 20, 21));
    let colluding = "share of colluding sites, per mille";
    assert_eq!(start(Demands { corrupt_per_mille: 101, ..any() }), refused(colluding, 100, 101));
    assert_eq!(start(Demands { security_bits: 41, ..any() }), refused("security in bits", 40, 41));
}

#[test]
fn both_shares_of_one_neighbour_are_never_revealed() {
    let mut net = net();
    let mut reveals = Vec::new();
    net.run(|step, site, answer| {
        if let ToServer::Reveal(reveal) = &answer {
            reveals.push(reveal.clone());
        }
        (step != 2 || site != 7).then_some(answer)
    })
    .unwrap();
    let mut vanished = 0;
    for reveal in reveals {
        let members: Vec<u32> = reveal.own_masks.iter().chain(&reveal.mask_keys).map(|s| s.member).collect();
        let distinct: HashSet<u32> = members.iter().copied().collect();
        assert_eq!(distinct.len(), members.len());
        vanished += reveal.mask_keys.len();
    }
    // One from each neighbour of the one that vanished.
    let degree = Parameters::derive(25, &terms(20).risk()).unwrap().degree();
    assert_eq!(vanished, degree);
}

/// Garbage, wrong lengths, values out of range, doubled and late messages: rejected by name, and the sum is right.
#[test]
fn sites_that_misbehave_are_left_out_and_the_round_survives() {
    let mut net = Net::new(terms(20), 0..30);
    let bad = 11;
    let key = identity(bad).public();
    let honest = sum_of((0..30).filter(|&s| s != bad));

    // Too early, and by a stranger.
    let early = ToServer::Reveal(v1::Reveal::default());
    assert_eq!(net.server.receive(&key, early), Err(Rejected::OutOfTurn));
    let (_, again) = Advertised::start(terms(20), &any(), trusted(), identity(bad)).unwrap();
    assert_eq!(net.server.receive(&key, ToServer::Advertisement(again.clone())), Err(Rejected::Twice));
    assert_eq!(net.server.receive(&[1; 32], ToServer::Advertisement(again)), Err(Rejected::Malformed));

    net.step(|_, answer| Some(answer)).unwrap();
    let late = ToServer::Shares(v1::ShareUpload::default());
    assert_eq!(net.server.receive(&key, late), Err(Rejected::Malformed));
    let mut signature = Vec::new();
    net.step(|site, answer| match answer {
        ToServer::Masked(masked) if site == bad => {
            signature = masked.signature;
            None
        }
        honest => Some(honest),
    })
    .unwrap();
    let short = ToServer::Masked(v1::MaskedVector { packed: vec![1; 7], signature: signature.clone() });
    assert_eq!(net.server.receive(&key, short), Err(Rejected::Length { have: 7, need: 4 * DIMENSION }));
    let unsigned = ToServer::Masked(v1::MaskedVector { packed: vec![1; 4 * DIMENSION], signature: vec![0; 64] });
    assert_eq!(net.server.receive(&key, unsigned.clone()), Err(Rejected::Malformed));
    let stranger = unsigned;
    assert_eq!(net.server.receive(&[1; 32], stranger), Err(Rejected::Stranger));
    net.step(|_, answer| Some(answer)).unwrap();
    let vector = ToServer::Masked(v1::MaskedVector { packed: vec![1; 4 * DIMENSION], signature });
    assert_eq!(net.server.receive(&key, vector), Err(Rejected::OutOfTurn));
    net.step(|_, answer| Some(answer)).unwrap();
    let dead = ToServer::Reveal(v1::Reveal::default());
    assert_eq!(net.server.receive(&key, dead), Err(Rejected::Stranger));
    let sum = net.step(|_, answer| Some(answer)).unwrap().unwrap();
    assert_eq!(sum.values(), honest);
}

/// Advertisements are checked together, when it is time: whoever's do not hold is not in the roster, and takes no place.
#[test]
fn false_advertisements_take_no_place() {
    let mut server = Server::new(terms(20), trusted(), 22);
    let advertise = |server: &mut Server, identity: Identity, spoil: bool| {
        let key = identity.public();
        let (_, mut message) = Advertised::start(terms(20), &any(), trusted(), identity).unwrap();
        message.commitment[0] ^= u8::from(spoil);
        server.receive(&key, ToServer::Advertisement(message))
    };
    let stranger = SigningKey::from([77; 32]);
    let forged = Identity::new(stranger, enrol(&stranger, &(&stranger).into()));
    advertise(&mut server, forged, false).unwrap();
    advertise(&mut server, identity(21), true).unwrap();
    for site in 0..20 {
        advertise(&mut server, identity(site), false).unwrap();
    }
    assert_eq!(server.waiting_for(), 2);
    advertise(&mut server, identity(20), false).unwrap();
    advertise(&mut server, identity(21), false).unwrap();
    assert_eq!(advertise(&mut server, identity(22), false), Err(Rejected::Full));
    let Delivery::Same { to, .. } = server.advance().unwrap() else { panic!("the roster comes next") };
    let expected: HashSet<[u8; 32]> = (0..22).map(|site| identity(site).public()).collect();
    assert_eq!(to.into_iter().collect::<HashSet<_>>(), expected);
}

#[test]
fn false_signatures_and_false_shares_are_found_and_left_out() {
    let mut net = net();
    let liars = [2, 9];
    let sum = net.run(|_, site, answer| {
        Some(match answer {
            ToServer::Signature(mut s) if liars.contains(&site) => {
                s.signature[9] ^= 1;
                ToServer::Signature(s)
            }
            ToServer::Reveal(mut reveal) if liars.contains(&site) => {
                for share in &mut reveal.own_masks {
                    share.value[0] ^= 1;
                }
                ToServer::Reveal(reveal)
            }
            honest => honest,
        })
    });
    assert_eq!(sum.unwrap().values(), sum_of(0..25));
}

/// To a few, it harms nobody. To nearly all, its own mask cannot be opened, and the round ends with its name.
#[test]
fn a_site_that_seals_garbage_is_borne_or_named() {
    let p = Parameters::derive(25, &terms(20).risk()).unwrap();
    let round = |spoilt: usize| {
        let mut net = net();
        let dealer = net.sites.keys().position(|key| *key == identity(3).public()).unwrap();
        let sum = net.run(|_, site, answer| {
            Some(match answer {
                ToServer::Shares(mut upload) if site == 3 => {
                    upload.shares.iter_mut().take(spoilt).for_each(|s| s.sealed = vec![0; 80]);
                    ToServer::Shares(upload)
                }
                honest => honest,
            })
        });
        (sum, dealer as u32)
    };
    assert_eq!(round(p.degree() - p.threshold()).0.unwrap().values(), sum_of(0..25));
    let (lost, dealer) = round(p.degree() - p.threshold() + 1);
    assert_eq!(lost.unwrap_err(), Abort::Vanished(dealer));
}

#[test]
fn a_helper_opens_no_small_no_doubled_and_no_second_batch() {
    let mut helper = helper();
    let whole = request(&mut buffer(terms(10), 0..12));
    let with = |change: &dyn Fn(&mut Vec<v1::SealedSeed>)| {
        let mut request = whole.clone();
        change(&mut request.seeds);
        request
    };
    let few = with(&|seeds| seeds.truncate(9));
    assert!(matches!(helper.sum(&few), Err(Refusal::TooFew { .. })));
    let doubled = with(&|seeds| seeds[1] = seeds[0].clone());
    assert_eq!(helper.sum(&doubled), Err(Refusal::Opened(1)));
    let forged = with(&|seeds| seeds[4].sealed[0] ^= 1);
    assert_eq!(helper.sum(&forged), Err(Refusal::Forged(4)));
    let swapped = with(&|seeds| seeds[4].packed_digest[0] ^= 1);
    assert_eq!(helper.sum(&swapped), Err(Refusal::Forged(4)));
    // Other terms, say a smaller minimum, are not what the sites signed.
    let mut lowered = whole.clone();
    lowered.terms = Some(terms(2).into());
    assert_eq!(helper.sum(&lowered), Err(Refusal::Forged(0)));
    lowered.terms = None;
    assert_eq!(helper.sum(&lowered), Err(Refusal::Terms));

    // All but one, then all: the difference would be one site's vector.
    let but_one = with(&|seeds| seeds.truncate(11));
    assert!(helper.sum(&but_one).is_ok());
    assert_eq!(helper.sum(&whole), Err(Refusal::Opened(0)));
    // Nor under fresh masks, nor under other terms of the same round.
    let again = request(&mut buffer(terms(10), 0..12));
    assert_eq!(helper.sum(&again), Err(Refusal::Opened(0)));
    let other = terms_of(1, 10, Risk::new(100, 200, 40, 21).unwrap(), 32);
    assert_eq!(helper.sum(&request(&mut buffer(other, 0..12))), Err(Refusal::Opened(0)));
    // A restart does not make it forget.
    let mut restarted = Helper::new([9; 32], trusted(), CohortSize::new(2).unwrap(), helper.opened().clone());
    assert_eq!(restarted.sum(&whole), Err(Refusal::Opened(0)));
}

#[test]
fn an_aggregator_takes_no_swapped_and_no_doubled_report() {
    let terms = terms(2);
    let mut aggregator = Aggregator::new(terms, trusted(), helper_keys(), 2);
    let of = |site| report(&terms, site);
    let (first, key) = (of(1), identity(1).public());
    let mut altered = first.clone();
    altered.packed[0] ^= 1;
    assert_eq!(aggregator.receive(&key, ToServer::Split(altered)), Err(Rejected::Malformed));
    assert_eq!(aggregator.receive(&identity(2).public(), ToServer::Split(first.clone())), Err(Rejected::Malformed));
    assert_eq!(aggregator.receive(&key, ToServer::Split(first.clone())), Ok(()));
    assert_eq!(aggregator.receive(&key, ToServer::Split(first)), Err(Rejected::Twice));
    assert!(matches!(aggregator.advance(), Err(Abort::TooFew { .. })));
    assert_eq!(aggregator.receive(&identity(2).public(), ToServer::Split(of(2))), Ok(()));
    assert_eq!(aggregator.receive(&identity(3).public(), ToServer::Split(of(3))), Err(Rejected::Full));
}
