package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// daemonReplaced deletes the daemon's pod, as an update of the DaemonSet does, and looks on until everything is as
// before.
func daemonReplaced(ctx context.Context, s *stage, n int) ([]trial, error) {
	node := s.victim(n)
	old, err := s.daemonPod(ctx, node)
	if err != nil {
		return nil, err
	}
	// What is on the node moves away and comes back; nobody must notice.
	t, err := s.perform(ctx, act{
		limit: patience, do: func() error {
			return s.rig.Client.CoreV1().Pods(rig.SystemNamespace).Delete(ctx, old.Name, metav1.DeleteOptions{})
		},
		over: func() bool {
			now, err := s.daemonPod(ctx, node)
			time.Sleep(50 * time.Millisecond)
			return err == nil && now.UID != old.UID && s.home()
		},
	})
	t.Victim, t.Moves = node, 0 // to move is what it is for
	return []trial{t}, err
}

func (s *stage) daemonPod(ctx context.Context, node string) (*corev1.Pod, error) {
	pods, err := s.rig.Client.CoreV1().Pods(rig.SystemNamespace).List(ctx, metav1.ListOptions{
		FieldSelector: "spec.nodeName=" + node, LabelSelector: "app.kubernetes.io/component=daemon",
	})
	if err != nil {
		return nil, err
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			return &p, nil
		}
	}
	return nil, fmt.Errorf("%s has no daemon's pod", node)
}

// orders are all orders in which three nodes can be told.
func orders(nodes []string) [][]string {
	if len(nodes) < 2 {
		return [][]string{nodes}
	}
	var all [][]string
	for i, first := range nodes {
		rest := slices.Delete(slices.Clone(nodes), i, i+1)
		for _, o := range orders(rest) {
			all = append(all, append([]string{first}, o...))
		}
	}
	return all
}

// churn adds an address and removes it again. The nodes hear of it one after the other, in an order that changes with
// every trial: their daemons are stopped, and go on one by one.
func churn(ctx context.Context, s *stage, n int) ([]trial, error) {
	all := orders(s.nodes)
	order := all[n%len(all)]
	maps := s.rig.Client.CoreV1().ConfigMaps("default")
	cm := loadBalancer(9000 + n%900)
	var added netip.Addr
	arrive := act{quiet: n%10 != 0, do: func() error {
		return s.inOrder(order, func() error {
			if _, err := maps.Create(ctx, cm, metav1.CreateOptions{}); err != nil {
				return err
			}
			data, err := s.rig.WaitStatus(ctx, "default", cm.Name, "PENDING", 10*time.Second)
			if err != nil {
				return err
			}
			added, err = netip.ParseAddr(data["bind-ip"])
			return err
		})
	}, over: func() bool { return len(s.watch.Owners(added)) == 1 }, limit: 10 * time.Second}
	leave := act{quiet: n%10 != 5, do: func() error {
		return s.inOrder(order, func() error { return maps.Delete(ctx, cm.Name, metav1.DeleteOptions{}) })
	}, over: func() bool { return len(s.watch.Owners(added)) == 0 }, limit: 10 * time.Second}
	begun := time.Now()
	trials, err := s.pair(ctx, arrive, leave)
	if err != nil {
		return nil, err
	}
	history, err := s.watch.History()
	spans := owner.Clip(history.Spans(added, time.Now()), begun, time.Now())
	trials[0].Several = max(trials[0].Several, owner.Longest(spans, owner.Several))
	trials[0].Victim, trials[1].Victim = fmt.Sprint(order), fmt.Sprint(order)
	return trials, err
}

// inOrder stops all daemons, does something that concerns them, and lets them go on one after the other.
func (s *stage) inOrder(order []string, do func() error) error {
	for _, node := range order {
		if err := s.rig.Lab.FreezeProgram(node, lab.Daemon); err != nil {
			return err
		}
	}
	err := do()
	for _, node := range order {
		time.Sleep(150 * time.Millisecond) // the one before has taken it up
		err = errors.Join(err, s.rig.Lab.ThawProgram(node, lab.Daemon))
	}
	return err
}

// relabelled takes a node out of the fleet by its label and puts it back.
func relabelled(ctx context.Context, s *stage, n int) ([]trial, error) {
	node := s.victim(n)
	others := slices.DeleteFunc(slices.Clone(s.nodes), func(o string) bool { return o == node })
	settled := func(nodes []string) func() bool {
		return func() bool {
			time.Sleep(100 * time.Millisecond)
			ok, _ := s.rig.Settled(ctx, nodes)
			return ok
		}
	}
	leave := act{
		victim: node, do: func() error { return s.rig.Enlist(ctx, node, false) }, over: settled(others), limit: patience,
		tail: time.Second,
	}
	join := act{
		do: func() error { return s.rig.Enlist(ctx, node, true) }, over: settled(s.nodes), limit: patience,
		tail: 2 * time.Second,
	}
	trials, err := s.pair(ctx, leave, join)
	if err == nil {
		trials[1].Moves = 0 // the newcomer gets its share
	}
	return trials, err
}

// saturated keeps every core busy twice over and looks whether anything moves.
func saturated(ctx context.Context, s *stage, _ int) ([]trial, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, p := range s.burns {
			_ = p.Kill()
			_, _ = p.Wait()
		}
		s.burns = nil
	}()
	t, err := s.perform(ctx, act{quiet: true, still: true, tail: s.options.saturation, do: func() error {
		for range 2 * runtime.NumCPU() {
			// It would inherit this program's priority, and shall compete with the daemons as anybody does.
			cmd := exec.Command("nice", "-n", strconv.Itoa(-ownPriority), self, burnCommand)
			if err := cmd.Start(); err != nil {
				return err
			}
			s.burns = append(s.burns, cmd.Process)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	t.Victim = s.options.saturation.String()
	return []trial{t}, nil
}

// burn keeps a core busy.
func burn(ctx context.Context) {
	for ctx.Err() == nil {
		for i := range 1 << 20 {
			_ = i * i
		}
	}
}

// partition cuts a node and the second client off from everybody else. The first part is what the big side's client
// notices, the second the healing until every address has one owner.
func partition(ctx context.Context, s *stage, n int) ([]trial, error) {
	trials, err := witnessed(ctx, s, n)
	if err == nil {
		trials[0].Several = 0 // two owners are right here: one on each side
	}
	return trials, err
}

// witnessed is the same where a witness allows one owner only. What the far side's client gets from addresses that the
// cut-off node still has on its loopback, as long as it remembers the way, is no owner's answer.
func witnessed(ctx context.Context, s *stage, n int) ([]trial, error) {
	node := s.victim(n)
	if err := s.observeFar(); err != nil {
		return nil, err
	}
	far := s.rig.Lab.Info().Clients[1].Name
	mine := s.on(node)
	begun := time.Now()
	cut, err := s.perform(ctx, act{
		victim: node, do: func() error { return s.rig.Lab.Partition(node, far) }, limit: 5 * time.Second,
		over: func() bool { return s.othersOwn(node, mine) }, tail: time.Second,
	})
	if err != nil {
		return nil, err
	}
	cut.Moves = 0 // on its side, the cut-off node may take over until it knows better
	for _, a := range s.addresses {
		cut.Others = max(cut.Others, s.far.Longest(a, begun, time.Now().Add(-300*time.Millisecond)).Length())
	}
	healed := time.Now()
	heal, err := s.perform(ctx, act{
		do:   func() error { return errors.Join(s.rig.Lab.Heal(node), s.rig.Lab.Heal(far)) },
		over: s.home, limit: patience, tail: time.Second,
	})
	if err != nil {
		return nil, err
	}
	heal.Victim = node
	for _, a := range s.addresses {
		heal.Others = max(heal.Others, s.far.Longest(a, healed, time.Now().Add(-300*time.Millisecond)).Length())
	}
	return []trial{cut, heal}, nil
}

// othersOwn says whether each address has an owner besides the node.
func (s *stage) othersOwn(node string, addresses []netip.Addr) bool {
	for _, a := range addresses {
		if !slices.ContainsFunc(s.watch.Owners(a), func(o string) bool { return o != node }) {
			return false
		}
	}
	return true
}

// headless is a node lost while neither an API server nor a controller lives, and the node's return.
func headless(ctx context.Context, s *stage, n int) ([]trial, error) {
	if n == 0 {
		if err := s.converge(ctx, true); err != nil {
			return nil, err
		}
		if err := s.rig.Lab.APIDown(ctx); err != nil {
			return nil, err
		}
	}
	processes, err := s.rig.Lab.AllProcesses()
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		if p.Program == "lb-controller" {
			if err := p.Signal(unix.SIGKILL); err != nil {
				return nil, err
			}
		}
	}
	return lost(ctx, s, n)
}

func apiBack(ctx context.Context, s *stage) error { return s.rig.Lab.APIUp(ctx) }

// thousand is a node lost among a thousand addresses, which are asked every 50 ms: more would be a load of its own.
func thousand(ctx context.Context, s *stage, n int) ([]trial, error) {
	if n == 0 {
		if err := s.expose(ctx, 1000); err != nil {
			return nil, err
		}
		if err := s.observe(50 * time.Millisecond); err != nil {
			return nil, err
		}
		if err := s.converge(ctx, true); err != nil {
			return nil, err
		}
	}
	return lost(ctx, s, n)
}
