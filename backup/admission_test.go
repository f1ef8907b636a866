package backup

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// saysNo is an API server's Forbidden.
func saysNo(why string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "objects"}, "x", errors.New(why))
}

// denyPods denies a mover's pod; if claim is set, only the pod for that claim.
func denyPods(why, claim string) func(runtime.Object) error {
	return func(object runtime.Object) error {
		pod, isPod := object.(*corev1.Pod)
		if !isPod || claim != "" && pod.Labels[cluster.LabelClaim] != claim {
			return nil
		}
		return saysNo(why)
	}
}

// cut reports whether any volume's capture was made or reported.
func (s *stage) cut() bool {
	return slices.ContainsFunc(s.did, func(what string) bool { return strings.HasSuffix(what, " capture") })
}

// TestRunNotAdmitted: if no volume can have all of its objects created, the backup refuses before anything is cut, and so does its dry run.
func TestRunNotAdmitted(t *testing.T) {
	const full = "exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4"
	for name, tt := range map[string]struct {
		deny  func(runtime.Object) error
		says  []string
		waits time.Duration // by a backup; a dry run never does
	}{
		"Pod Security": {
			deny: denyPods(`violates PodSecurity "restricted:latest"`, ""),
			says: []string{
				"the mover's pod for claim demo/www-web-0", "nor 1 more like it", "violates PodSecurity", "enforce=baseline",
				"back up again",
			},
		},
		"an account that is not there": {
			deny: denyPods(`error looking up service account demo/nobody: serviceaccount "nobody" not found`, ""),
			says: []string{"--mover-service-account"},
		},
		"a quota that no mover fits into": {
			deny: denyPods("exceeded quota: q, requested: limits.cpu=2, used: limits.cpu=0, limited: limits.cpu=1", ""),
			says: []string{"limits.cpu=2", "raise that quota"},
		},
		"a quota that is used up": {deny: denyPods(full, ""), says: []string{full}, waits: 5 * time.Minute},
		"a webhook that is away": {
			deny: denyPods(`Internal error occurred: failed calling webhook "w": connection refused`, ""), says: []string{"bring back"},
			waits: 5 * time.Minute,
		},
		"VolumeSnapshots": {
			deny: func(object runtime.Object) error {
				if _, is := object.(*snapshotv1.VolumeSnapshot); is {
					return saysNo("no cuts here")
				}
				return nil
			},
			says: []string{"the VolumeSnapshot of claim demo/www-web-0", "no cuts here"},
		},
		"temporary claims, which a quota has no room for": {
			deny: func(object runtime.Object) error {
				if _, is := object.(*corev1.PersistentVolumeClaim); is {
					return saysNo("exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=2, limited: " +
						"persistentvolumeclaims=2")
				}
				return nil
			},
			says: []string{"the temporary claim of claim demo/www-web-0", "exceeded quota: q"}, waits: 30 * time.Second,
		},
		"the movers' account": {
			deny: func(object runtime.Object) error {
				if _, is := object.(*corev1.ServiceAccount); is {
					return saysNo("no accounts")
				}
				return nil
			},
			says: []string{"ServiceAccount demo/", "no accounts"},
		},
	} {
		for _, dryRun := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newMoverStage(t)
					s.deny, s.dryRun = tt.deny, dryRun
					begun := time.Now()
					_, err := s.run(t.Context(), t)
					var refusal *cluster.Refusal
					if !errors.As(err, &refusal) {
						t.Fatalf("error %v, want a refusal", err)
					}
					for _, text := range tt.says {
						if !strings.Contains(err.Error(), text) {
							t.Errorf("%q does not say %q", err, text)
						}
					}
					waits := tt.waits
					if dryRun {
						waits = 0
					}
					if took := time.Since(begun) - time.Minute; took < waits || took > waits+20*time.Second {
						t.Errorf("it took %s to refuse, want %s", took, waits)
					}
					if s.cut() || len(s.repo.committed) > 0 {
						t.Errorf("a refused backup did %q", s.did)
					}
				})
			})
		}
	}
}

// TestRunAdmittedLater: the backup waits for denials that pass by themselves, and says so.
func TestRunAdmittedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		begun := time.Now()
		s.deny = func(object runtime.Object) error {
			if time.Since(begun) > 2*time.Minute {
				return nil
			}
			return denyPods("exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4", "")(object)
		}
		record, err := s.run(t.Context(), t)
		if err != nil || record.State != catalog.StateComplete {
			t.Fatalf("record %+v, %v", record, err)
		}
		if !slices.ContainsFunc(s.did, func(what string) bool {
			return strings.HasPrefix(
				what,
				"note waiting (for up to 5m0s): the API server would not create the mover's pod for claim demo/www-web-0 yet: ",
			)
		}) {
			t.Errorf("nobody was told: %q", s.did)
		}
	})
}

// TestRunPartlyAdmitted: a volume whose mover is not admitted does not prevent the others from being saved.
func TestRunPartlyAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		s.deny = denyPods("no movers for this one", "www-web-0")
		record, err := s.run(t.Context(), t)
		if err != nil {
			t.Fatal(err)
		}
		if record.State != catalog.StateIncomplete || !strings.Contains(record.Volumes[0].Error, "no movers for this one") ||
			record.Volumes[1].RepositorySnapshot == "" {
			t.Errorf("record %+v", record)
		}
		if slices.Contains(s.did, "www-web-0 capture") {
			t.Errorf("a volume was cut that cannot be read: %q", s.did)
		}
	})
}

// TestRunWithoutTheRightToAsk: without the right to create pods, nobody knows, and the backup goes on.
func TestRunWithoutTheRightToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		s.deny = denyPods(`User "u" cannot create resource "pods" in API group "" in the namespace "demo"`, "")
		record, err := s.run(t.Context(), t)
		if err != nil || record.State != catalog.StateComplete {
			t.Fatalf("record %+v, %v", record, err)
		}
		if !slices.ContainsFunc(s.did, func(what string) bool {
			return strings.Contains(what, "warning: could not ask the API server whether it would create the mover's "+
				"pod") && strings.Contains(what, "docs/rbac.md")
		}) {
			t.Errorf("nobody was told: %q", s.did)
		}
	})
}

// TestRunWaitsForRoom: a quota has room for one temporary claim at a time.
func TestRunWaitsForRoom(t *testing.T) {
	for name, parallel := range map[string]int{"one after the other": 1, "at once": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMoverStage(t)
				s.widen(t)
				s.parallel, s.moves = parallel, 2*time.Minute
				goneAt := time.Time{}
				s.kube.PrependReactor("delete", "persistentvolumeclaims", func(clienttesting.Action) (bool, runtime.Object, error) {
					goneAt = time.Now()
					return false, nil, nil
				})
				s.kube.PrependReactor("create", "persistentvolumeclaims", func(action clienttesting.Action) (bool, runtime.Object, error) {
					if len(action.(clienttesting.CreateActionImpl).CreateOptions.DryRun) > 0 {
						return false, nil, nil
					}
					claims := schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
					list, err := s.kube.Tracker().List(claims, schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"}, "demo")
					if err != nil {
						return true, nil, err
					}
					used := slices.ContainsFunc(list.(*corev1.PersistentVolumeClaimList).Items, func(claim corev1.PersistentVolumeClaim) bool {
						return metav1.HasLabel(claim.ObjectMeta, cluster.LabelManagedBy)
					})
					// The quota notices 20 s late.
					if used || !goneAt.IsZero() && time.Since(goneAt) < 20*time.Second {
						return true, nil, saysNo(
							"exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=4, limited: persistentvolumeclaims=4",
						)
					}
					return false, nil, nil
				})
				record, err := s.run(t.Context(), t)
				if err != nil || record.State != catalog.StateComplete {
					t.Fatalf("record %+v, %v", record, err)
				}
				if !slices.ContainsFunc(s.did, func(what string) bool {
					return strings.HasPrefix(what, "note waiting: ") && strings.Contains(what, "exceeded quota: q")
				}) {
					t.Errorf("nobody was told: %q", s.did)
				}
			})
		})
	}
}
