package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
)

// there fails the test unless the object is still in the cluster.
func there(t *testing.T, c *Client, object runtime.Object) {
	t.Helper()
	accessor, err := meta.Accessor(object)
	if err != nil {
		t.Fatal(err)
	}
	kube, snapshots := fakes(t, c)
	tracker, resource := kube.Tracker(), schemaOf(object)
	if resource.Group == snapshotGroup {
		tracker = snapshots.Tracker()
	}
	found, err := tracker.Get(resource, accessor.GetNamespace(), accessor.GetName())
	if err != nil {
		t.Errorf("%s %s is gone: %v", resource.Resource, accessor.GetName(), err)
		return
	}
	if now, err := meta.Accessor(found); err != nil || now.GetUID() != accessor.GetUID() {
		t.Errorf("%s %s is another one: %v", resource.Resource, accessor.GetName(), err)
	}
}

// Whoever copies a manifest with our labels, or chooses a name like ours, has made their own object.
func TestSweepLeavesWhatIsNotOurs(t *testing.T) {
	dead := testOperation()
	renamed := func(object metav1.Object) { object.SetName("my-own") }
	for name, change := range map[string]func(r *remnants) runtime.Object{
		"a Job of another name":        func(r *remnants) runtime.Object { renamed(r.job); r.job.Labels[LabelMover] = "my-own"; return r.job },
		"a Job that keeps the label":   func(r *remnants) runtime.Object { renamed(r.job); return r.job },
		"a Job whose label is another": func(r *remnants) runtime.Object { r.job.Labels[LabelMover] = "my-own"; return r.job },
		"a Job of a CronJob": func(r *remnants) runtime.Object {
			r.job.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "c"}}
			return r.job
		},
		"a Job that is no mover": func(r *remnants) runtime.Object {
			r.job.Spec.Template.Spec.Containers[0].Name = "main"
			return r.job
		},
		"a Job without annotations": func(r *remnants) runtime.Object { r.job.Annotations = nil; return r.job },
		"a Job of another claim": func(r *remnants) runtime.Object {
			r.job.Annotations[AnnotationClaim] = "data-web-0"
			return r.job
		},
		"a Job whose claim has no template": func(r *remnants) runtime.Object { r.job.Annotations[AnnotationClaim] = "-web-0"; return r.job },
		"a Job of another ordinal":          func(r *remnants) runtime.Object { r.job.Labels[LabelOrdinal] = "1"; return r.job },
		"a Job of an ordinal that is none":  func(r *remnants) runtime.Object { r.job.Labels[LabelOrdinal] = "00"; return r.job },
		"a Job of a StatefulSet so labelled": func(r *remnants) runtime.Object {
			r.job.Annotations[AnnotationStatefulSet] = "web2"
			return r.job
		},
		"a Job of another operation": func(r *remnants) runtime.Object {
			r.job.Labels[LabelOperation] = "20261121T081200Z-3fa91c08"
			return r.job
		},
		"a Job of what is no operation": func(r *remnants) runtime.Object {
			r.job.Labels[LabelOperation] = "mine"
			r.job.Name = "stsbackup-mine-0-www"
			r.job.Labels[LabelMover] = r.job.Name
			return r.job
		},
		"a Job whose claim's label is another": func(r *remnants) runtime.Object {
			r.job.Labels[LabelClaim] = "data-web-0"
			return r.job
		},
		"a Job of another StatefulSet, under a name of an earlier version": func(r *remnants) runtime.Object {
			r.job.Annotations[AnnotationStatefulSet], r.job.Annotations[AnnotationClaim] = "web2", "www-web2-0"
			r.job.Labels[LabelClaim], r.job.Name = "www-web2-0", dead.earlierName("0", "www")
			r.job.Labels[LabelMover] = r.job.Name
			return r.job
		},
		"a pod of a Job of another name": func(r *remnants) runtime.Object {
			r.pod.Name, r.pod.Labels[LabelMover], r.pod.OwnerReferences[0].Name = "my-own-abcde", "my-own", "my-own"
			return r.pod
		},
		"a pod of another name":      func(r *remnants) runtime.Object { renamed(r.pod); return r.pod },
		"a pod without a Job's name": func(r *remnants) runtime.Object { r.pod.Labels[LabelMover] = "my-own"; return r.pod },
		"a pod of a ReplicaSet": func(r *remnants) runtime.Object {
			r.pod.OwnerReferences[0].Kind = "ReplicaSet"
			return r.pod
		},
		"a pod of another Job": func(r *remnants) runtime.Object { r.pod.OwnerReferences[0].Name = "my-own"; return r.pod },
		"a pod that somebody else owns": func(r *remnants) runtime.Object {
			r.pod.OwnerReferences[0].Controller = nil
			return r.pod
		},
		"a pod that is no mover":  func(r *remnants) runtime.Object { r.pod.Spec.Containers[0].Name = "main"; return r.pod },
		"a claim of another name": func(r *remnants) runtime.Object { renamed(r.claim); return r.claim },
		"a claim that begins like ours": func(r *remnants) runtime.Object {
			r.claim.Name = "stsbackup-data"
			return r.claim
		},
		"a claim that was not made from a cut": func(r *remnants) runtime.Object { r.claim.Spec.DataSource = nil; return r.claim },
		"a clone of a claim": func(r *remnants) runtime.Object {
			r.claim.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "www-web-0"}
			return r.claim
		},
		"a VolumeSnapshot of another name": func(r *remnants) runtime.Object { renamed(r.vs); return r.vs },
		"a VolumeSnapshot of another claim": func(r *remnants) runtime.Object {
			r.vs.Spec.Source.PersistentVolumeClaimName = new("other")
			return r.vs
		},
		"a VolumeSnapshot of a content": func(r *remnants) runtime.Object {
			r.vs.Spec.Source = snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: new("content")}
			return r.vs
		},
		"a ServiceAccount of another name": func(r *remnants) runtime.Object { renamed(r.account); return r.account },
		"a ServiceAccount without annotations": func(r *remnants) runtime.Object {
			r.account.Annotations = nil
			return r.account
		},
		"a Secret with a Job's name": func(r *remnants) runtime.Object { r.secret.OwnerReferences = nil; return r.secret },
		"a Secret with our labels": func(r *remnants) runtime.Object {
			renamed(r.secret)
			r.secret.OwnerReferences = nil
			return r.secret
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				planted := remains(dead, dead.Name)
				object := change(&planted)
				objects := []runtime.Object{object}
				if object == runtime.Object(planted.secret) {
					objects = append(objects, planted.job) // ours; the Secret has its name from it
				}
				ours := dead
				ours.ID = "20261120T081200Z-00000001"
				gone := remains(ours, ours.Name)
				c := sweepCluster(t, slices.Concat(objects, gone.kube(), []runtime.Object{gone.vs})...)
				swept, err := c.Sweep(t.Context(), currentOperation(), Removing{})
				if err != nil || len(swept.Left) > 0 {
					t.Errorf("swept %+v, %v", swept, err)
				}
				there(t, c, object)
				for _, want := range gone.names() {
					if !slices.Contains(swept.Removed, want) {
						t.Errorf("%s was not removed", want)
					}
				}
			})
		})
	}
}

// If the name of a StatefulSet is too long for a label, the label holds a short form, which may also be the name of another StatefulSet.
func TestSweepTellsLongNamesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		current, other := currentOperation(), testOperation()
		current.StatefulSet = strings.Repeat("s", 100)
		other.StatefulSet = LabelValue(current.StatefulSet)
		planted := remains(other, other.Name)
		c := sweepCluster(t, append(planted.kube(), planted.vs)...)
		swept, err := c.Sweep(t.Context(), current, Removing{})
		if err != nil || len(swept.Removed) > 0 {
			t.Errorf("swept %+v, %v", swept, err)
		}
		for _, object := range append(planted.kube(), planted.vs) {
			there(t, c, object)
		}
	})
}

// A sweep also checks a pod's Job: the pods of somebody else's Job are theirs.
func TestSweepLeavesThePodsOfOtherJobs(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*batchv1.Job)
		stays  bool
	}{
		"of a Job without our labels": {func(job *batchv1.Job) { job.Labels = nil }, true},
		"of a Job that is gone":       {func(job *batchv1.Job) { job.Name = "another" }, false},
		"of a Job that was made anew": {func(job *batchv1.Job) { job.Labels, job.UID = nil, "another" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead := testOperation()
				planted := remains(dead, dead.Name)
				tt.change(planted.job)
				c := sweepCluster(t, planted.job, planted.pod)
				if _, err := c.Sweep(t.Context(), currentOperation(), Removing{}); err != nil {
					t.Fatal(err)
				}
				there(t, c, planted.job)
				if tt.stays {
					there(t, c, planted.pod)
				} else if left := leftOver(t, c); slices.Contains(left, "pod "+planted.pod.Name) {
					t.Errorf("left in the cluster: %q", left)
				}
			})
		})
	}
}

// Between the look and the deletion, somebody removes the label, or makes their own object under that name.
func TestSweepDeletesWhatItHasLookedAt(t *testing.T) {
	for name, change := range map[string]func(metav1.Object){
		"is taken away from us": func(object metav1.Object) {
			object.SetLabels(nil)
			object.SetResourceVersion("2")
		},
		"is made anew": func(object metav1.Object) {
			object.SetLabels(nil)
			object.SetUID("another")
		},
	} {
		for _, resource := range []string{"jobs", "pods", "persistentvolumeclaims", "volumesnapshots", "serviceaccounts"} {
			t.Run(resource+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dead := testOperation()
					all := remains(dead, dead.Name)
					planted := map[string]runtime.Object{
						"jobs": all.job, "pods": all.pod, "persistentvolumeclaims": all.claim, "volumesnapshots": all.vs, "serviceaccounts": all.account,
					}[resource]
					c := sweepCluster(t, planted)
					kube, snapshots := fakes(t, c)
					tracker := kube.Tracker()
					if resource == "volumesnapshots" {
						tracker = snapshots.Tracker()
					}
					changed := planted.DeepCopyObject()
					accessor, err := meta.Accessor(changed)
					if err != nil {
						t.Fatal(err)
					}
					change(accessor)
					interfere := func(action clienttesting.Action) (bool, runtime.Object, error) {
						err := errors.Join(
							tracker.Delete(action.GetResource(), "demo", accessor.GetName()),
							tracker.Create(action.GetResource(), changed, "demo"),
						)
						return false, nil, err
					}
					kube.PrependReactor("delete", resource, interfere)
					snapshots.PrependReactor("delete", resource, interfere)
					swept, err := c.Sweep(t.Context(), currentOperation(), Removing{})
					if err != nil || len(swept.Removed) > 0 {
						t.Errorf("swept %+v, %v", swept, err)
					}
					there(t, c, changed)
				})
			})
		}
	}
}

// RunMover removes what it has made; a Secret that was there before, or has been replaced, is not its own.
func TestRunMoverLeavesTheSecretsOfOthers(t *testing.T) {
	for name, early := range map[string]bool{"there before": true, "there by now": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mover := testMover()
				theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: mover.Name, UID: "theirs"}}
				objects := []runtime.Object{boundClaim()}
				if early {
					objects = append(objects, theirs)
				}
				c := sweepCluster(t, objects...)
				kube, _ := fakes(t, c)
				playPods(kube, running, terminated(0, "Completed", "{}"))
				kube.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
					if early {
						return false, nil, nil
					}
					secrets := corev1.SchemeGroupVersion.WithResource("secrets")
					return false, nil, errors.Join(kube.Tracker().Delete(secrets, "demo", theirs.Name), kube.Tracker().Add(theirs))
				})
				kube.PrependReactor("create", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
					action.(clienttesting.CreateAction).GetObject().(*corev1.Secret).UID = "ours"
					return false, nil, nil
				})
				_, err := c.RunMover(t.Context(), MoverConfig{Image: "stsbackup:test"}, mover, nil)
				if apierrors.IsAlreadyExists(err) != early || err != nil && !early {
					t.Errorf("error %v", err)
				}
				there(t, c, theirs)
			})
		})
	}
}

// A sweep must recognize every mover that an engine runs.
func TestRunMoverRefusesANameThatNoSweepKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sweepCluster(t, boundClaim())
		mover := testMover()
		mover.Name = mover.Operation.Name("probe")
		if _, err := c.RunMover(t.Context(), MoverConfig{ServiceAccount: "mine"}, mover, nil); err == nil ||
			!strings.Contains(err.Error(), "no sweep would know it") {
			t.Errorf("error %v", err)
		}
		if left := leftOver(t, c); len(left) > 0 {
			t.Errorf("left in the cluster: %q", left)
		}
	})
}

// schemaOf is the resource of an object, by which trackers know it.
func schemaOf(object runtime.Object) schema.GroupVersionResource {
	switch object.(type) {
	case *batchv1.Job:
		return batchv1.SchemeGroupVersion.WithResource("jobs")
	case *corev1.Pod:
		return corev1.SchemeGroupVersion.WithResource("pods")
	case *corev1.Secret:
		return corev1.SchemeGroupVersion.WithResource("secrets")
	case *corev1.PersistentVolumeClaim:
		return corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")
	case *corev1.ServiceAccount:
		return corev1.SchemeGroupVersion.WithResource("serviceaccounts")
	default:
		return snapshotv1.SchemeGroupVersion.WithResource("volumesnapshots")
	}
}

// We never trust a name to be free.
func TestTakenNames(t *testing.T) {
	op, other := testOperation(), testOperation()
	other.ID = "20261121T081200Z-ffffffff"
	for name, tt := range map[string]struct {
		labels map[string]string
		says   string
	}{
		"by nobody we know":    {nil, "none of stsbackup's"},
		"by another operation": {other.Labels(), "operation " + other.ID + " on StatefulSet web"},
		"by this operation":    {op.Labels(), "this operation has made it before"},
		"by another's with its id": {
			map[string]string{LabelManagedBy: ManagedBy, LabelOperation: op.ID, LabelStatefulSet: "web2"}, "on StatefulSet web2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{AnnotationStatefulSet: tt.labels[LabelStatefulSet]}
			at := func(name string) metav1.ObjectMeta {
				return metav1.ObjectMeta{Namespace: "demo", Name: name, Labels: tt.labels, Annotations: annotations, UID: types.UID("theirs")}
			}
			volume := op.VolumeName(0, "www")
			c := sweepCluster(t, boundClaim(), &batchv1.Job{ObjectMeta: at(volume)}, &corev1.PersistentVolumeClaim{ObjectMeta: at(volume)},
				&snapshotv1.VolumeSnapshot{ObjectMeta: at(volume)}, &corev1.ServiceAccount{ObjectMeta: at(op.Name("mover"))})
			mover := testMover()
			_, jobErr := c.RunMover(t.Context(), MoverConfig{ServiceAccount: "mine"}, mover, nil)
			_, claimErr := c.CreateClaim(t.Context(), op, TemporaryClaim(op, 0, "www", boundClaim(), volume, 1), nil)
			_, cutErr := c.CreateVolumeSnapshot(t.Context(), op, 0, "www", "www-web-0", "fast")
			_, accountErr := c.ensureAccount(t.Context(), op)
			failures := []error{jobErr, claimErr, cutErr, accountErr}
			if tt.says == "this operation has made it before" {
				failures = failures[:3] // all of its movers share one account
				if accountErr != nil {
					t.Errorf("its own account: %v", accountErr)
				}
			}
			for i, err := range failures {
				if !apierrors.IsAlreadyExists(err) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%d: error %v does not say %q", i, err, tt.says)
				}
			}
		})
	}
}
