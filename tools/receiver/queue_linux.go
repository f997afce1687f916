package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/mdlayher/netlink"
)

// queueNumber is the number of netfilter's queue, which is the network namespace's alone.
const queueNumber = 4242

// openQueue opens the queue and sends its packets on the channel until ctx ends. accept lets a packet go on with all that
// arrived before it. What does not fit into the queue goes on at once.
func openQueue(ctx context.Context, packets chan<- packet) (accept func(id uint32) error, err error) {
	queue, err := nfqueue.Open(&nfqueue.Config{
		NfQueue: queueNumber, MaxQueueLen: maxHeld, Copymode: nfqueue.NfQnlCopyMeta,
		Flags: nfqueue.NfQaCfgFlagFailOpen | nfqueue.NfQaCfgFlagGSO, // GSO: large packets stay in one piece
	})
	if err == nil {
		err = errors.Join(queue.SetOption(netlink.NoENOBUFS, true), queue.Con.SetReadBuffer(maxHeld*256))
	}
	if err == nil {
		err = queue.RegisterWithErrorFunc(ctx, func(a nfqueue.Attribute) int {
			packets <- packet{*a.PacketID, time.Now()}
			return 0
		}, func(error) int { return 0 })
	}
	if err != nil {
		return nil, fmt.Errorf("open netfilter's queue: %w: the kernel needs CONFIG_NETFILTER_NETLINK_QUEUE, and this program CAP_NET_ADMIN", err)
	}
	return func(id uint32) error { return queue.SetVerdictBatch(id, nfqueue.NfAccept) }, nil
}

// queuePackets adds the rule that sends packets to the queue, or past it where nobody reads it. A kernel may have nftables's
// own way to do that, the one of iptables, or both.
func queuePackets() error {
	info := make(xt.Unknown, 8) // struct xt_NFQ_info_v3, padded: queuenum, queues_total, flags; 1 is NFQ_FLAG_BYPASS
	for i, value := range []uint16{queueNumber, 1, 1} {
		binary.NativeEndian.PutUint16(info[2*i:], value)
	}
	own := addRule(&expr.Queue{Num: queueNumber, Flag: expr.QueueFlagBypass})
	if own == nil {
		return nil
	}
	if err := addRule(&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}); err != nil {
		return fmt.Errorf("add a rule to nftables: %w, %w: the kernel needs CONFIG_NFT_QUEUE, or CONFIG_NFT_COMPAT with CONFIG_NETFILTER_XT_TARGET_NFQUEUE", own, err)
	}
	return nil
}

// addRule adds a rule for what arrives by any interface but lo, before all others.
func addRule(verdict expr.Any) error {
	nft, err := nftables.New()
	if err != nil {
		return err
	}
	table := nft.AddTable(&nftables.Table{Name: "firedrill", Family: nftables.TableFamilyINet})
	chain := nft.AddChain(&nftables.Chain{
		Name: "delay", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityFirst,
	})
	lo := make([]byte, 16) // IFNAMSIZ
	copy(lo, "lo")
	nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: lo}, verdict,
	}})
	return nft.Flush()
}
