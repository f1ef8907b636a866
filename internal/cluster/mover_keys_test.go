package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestRenewIn(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		12 * time.Hour:   6 * time.Hour,
		time.Hour:        30 * time.Minute,
		15 * time.Minute: 450 * time.Second,
		10 * time.Minute: time.Minute,
		5 * time.Minute:  time.Minute,
		time.Minute:      30 * time.Second,
		10 * time.Second: renewLeast,
		-time.Hour:       renewLeast,
	} {
		if got := renewIn(left); got != want {
			t.Errorf("keys that are good for another %s are renewed in %s, want %s", left, got, want)
		}
	}
}

// secretHistory is what happened to a mover's Secret.
type secretHistory struct {
	serial  int
	present string   // the present content; "" if there is none
	events  []string // with the time since the beginning
}

// recordSecrets makes the fake cluster give UIDs to Secrets, like an API server, and records what happens to
// them. It asks fails before each call.
func recordSecrets(kube *fake.Clientset, fails func(verb string) error) *secretHistory {
	h, begun := &secretHistory{}, time.Now()
	note := func(text string) {
		h.events = append(h.events, fmt.Sprintf("%s %s", time.Since(begun).Round(time.Second), text))
	}
	kube.PrependReactor("*", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if err := fails(action.GetVerb()); err != nil {
			note(action.GetVerb() + " fails")
			return true, nil, err
		}
		switch a := action.(type) {
		case clienttesting.CreateAction:
			secret := a.GetObject().(*corev1.Secret)
			h.serial++
			secret.UID = types.UID(fmt.Sprintf("uid-%d", h.serial))
			h.present = string(secret.Data["credentials"])
			note(fmt.Sprintf("%s, immutable %t", h.present, secret.Immutable != nil))
		case clienttesting.DeleteActionImpl:
			if p := a.DeleteOptions.Preconditions; p != nil && *p.UID != types.UID(fmt.Sprintf("uid-%d", h.serial)) {
				note("delete of another")
			}
			h.present = ""
		}
		return false, nil, nil
	})
	return h
}

// TestKeysAreRenewed runs a mover for half an hour, with keys that last a quarter of an hour, and with others.
func TestKeysAreRenewed(t *testing.T) {
	unavailable := apierrors.NewServiceUnavailable("as planned")
	for name, tt := range map[string]struct {
		life   time.Duration // 0: for ever
		same   bool          // the source has no newer ones
		refuse func(asked int) error
		fails  func(verb string, ran time.Duration) error
		want   []string
		ends   error
		note   string
	}{
		"for ever":    {want: []string{"0s keys 1, immutable true"}},
		"for an hour": {life: time.Hour, want: []string{"0s keys 1, immutable false", "30m0s keys 2, immutable false"}},
		"for 15 minutes": {
			life: 15 * time.Minute,
			want: []string{
				"0s keys 1, immutable false", "7m30s keys 2, immutable false", "15m0s keys 3, immutable false",
				"22m30s keys 4, immutable false", "30m0s keys 5, immutable false",
			},
		},
		"for 15 minutes, and no new ones": {life: 15 * time.Minute, same: true, want: []string{"0s keys 1, immutable false"}},
		"for 15 minutes, and nobody gives any twice": {
			life: 15 * time.Minute, refuse: func(asked int) error {
				if asked == 2 || asked == 3 {
					return errors.New("STS does not answer")
				}
				return nil
			},
			want: []string{
				"0s keys 1, immutable false", "9m30s keys 4, immutable false", "17m0s keys 5, immutable false",
				"24m30s keys 6, immutable false",
			},
		},
		"for 25 minutes, and nobody gives any more": {
			life: 25 * time.Minute, refuse: func(asked int) error {
				if asked > 1 {
					return errors.New("STS does not answer")
				}
				return nil
			},
			want: []string{"0s keys 1, immutable false"}, ends: &MoverError{}, note: "renew the keys of mover demo/" + testMover().Name +
				": STS does not answer",
		},
		"for 40 minutes, and the API server is away for a while": {
			life: 40 * time.Minute, fails: func(verb string, ran time.Duration) error {
				if ran >= 20*time.Minute && ran < 20*time.Minute+3*time.Second && verb == "create" {
					return unavailable
				}
				return nil
			},
			want: []string{
				"0s keys 1, immutable false", "20m0s create fails", "20m1s create fails", "20m2s create fails",
				"20m3s keys 2, immutable false",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster(boundClaim())
				c.Relist = 10 * time.Second
				begun, over := time.Now(), false
				history := recordSecrets(kube, func(verb string) error {
					if tt.fails == nil || over {
						return nil
					}
					return tt.fails(verb, time.Since(begun))
				})
				end := terminated(0, "Completed", "result")
				if tt.ends != nil {
					end = terminated(1, "Error", "")
				}
				playPodsEvery(kube, 31*time.Minute, end)
				asked := 0
				config := MoverConfig{StartTimeout: time.Hour, Files: func(context.Context) (KeyFiles, error) {
					asked++
					if tt.refuse != nil {
						if err := tt.refuse(asked); err != nil {
							return KeyFiles{}, err
						}
					}
					files := KeyFiles{Content: map[string][]byte{"credentials": fmt.Appendf(nil, "keys %d", asked)}}
					if tt.same {
						files.Content["credentials"] = []byte("keys 1")
					}
					if tt.life > 0 {
						files.Expires = time.Now().Add(tt.life)
					}
					return files, nil
				}}
				_, err := c.RunMover(t.Context(), config, testMover(), nil)
				over = true
				if (err != nil) != (tt.ends != nil) || err != nil && !strings.Contains(err.Error(), tt.note) {
					t.Errorf("error %v, want one that says %q: %t", err, tt.note, tt.ends != nil)
				}
				if !slices.Equal(history.events, tt.want) {
					t.Errorf("the Secret's history is %q, want %q", history.events, tt.want)
				}
				if left := leftOver(t, c); len(left) > 0 || history.present != "" {
					t.Errorf("left in the cluster: %q, %s", left, history.present)
				}
			})
		})
	}
}

// A Secret that somebody else has put in the place of the mover's is theirs.
func TestRenewalLeavesSecretsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster(boundClaim())
		c.Relist = 10 * time.Second
		history := recordSecrets(kube, func(string) error { return nil })
		name := testMover().Name
		kube.PrependReactor("delete", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if p := action.(clienttesting.DeleteActionImpl).DeleteOptions.Preconditions; p == nil || *p.UID != "theirs" {
				return true, nil, apierrors.NewConflict(action.GetResource().GroupResource(), name, errors.New("the UID is another"))
			}
			t.Error("the Secret of somebody else was deleted")
			return false, nil, nil
		})
		kube.PrependReactor("create", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if history.serial == 0 {
				return false, nil, nil
			}
			return true, nil, apierrors.NewAlreadyExists(action.GetResource().GroupResource(), name)
		})
		playPodsEvery(kube, 20*time.Minute, terminated(1, "Error", ""))
		asked := 0
		config := MoverConfig{StartTimeout: time.Hour, Files: func(context.Context) (KeyFiles, error) {
			asked++
			return KeyFiles{
				Content: map[string][]byte{"credentials": fmt.Appendf(nil, "keys %d", asked)},
				Expires: time.Now().Add(15 * time.Minute),
			}, nil
		}}
		_, err := c.RunMover(t.Context(), config, testMover(), nil)
		if err == nil || !strings.Contains(err.Error(), "already exists") {
			t.Errorf("error %v, want one that says why there were no new keys", err)
		}
	})
}

// A renewal that is under way when the mover ends leaves no Secret.
func TestRenewalEndsWithItsMover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster(boundClaim())
		history := recordSecrets(kube, func(string) error { return nil })
		playPodsEvery(kube, 8*time.Minute, terminated(0, "Completed", "result"))
		asked := 0
		config := MoverConfig{StartTimeout: time.Hour, Files: func(ctx context.Context) (KeyFiles, error) {
			if asked++; asked == 1 {
				return KeyFiles{Content: map[string][]byte{"credentials": []byte("keys 1")}, Expires: time.Now().Add(15 * time.Minute)}, nil
			}
			<-ctx.Done() // the source of keys does not answer
			return KeyFiles{}, context.Cause(ctx)
		}}
		if _, err := c.RunMover(t.Context(), config, testMover(), nil); err != nil || asked != 2 {
			t.Errorf("%v; asked %d times, want twice", err, asked)
		}
		if left := leftOver(t, c); len(left) > 0 || len(history.events) != 1 {
			t.Errorf("left in the cluster: %q; the Secret's history is %q", left, history.events)
		}
	})
}

func TestKeyFilesDoNotShow(t *testing.T) {
	t.Parallel()
	files := KeyFiles{Content: map[string][]byte{"credentials": []byte("s3cr3t")}}
	for _, text := range []string{
		fmt.Sprint(files), fmt.Sprintf("%v %+v %#v %s %q %x", files, files, files, files, files, files),
		fmt.Sprintf("%+v", []KeyFiles{files}),
	} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, fmt.Sprintf("%x", "s3cr3t")) {
			t.Errorf("a secret shows in %q", text)
		}
	}
}
