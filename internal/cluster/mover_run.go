package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// cleanupWithin bounds the cleanup after a context has ended: a mover's grace period and some more.
	cleanupWithin = time.Minute
	// startTimeout is the default of MoverConfig.StartTimeout.
	startTimeout = 5 * time.Minute
	// imageTimeout is how long to wait, at most, for an image that cannot be pulled.
	imageTimeout = time.Minute
	// refusedTimeout is how long to wait, at most, for Kubernetes to admit a pod that it has refused. The Job
	// controller tries again several times meanwhile.
	refusedTimeout = 10 * time.Second
	// explainEvery is the pause between readings of events about a mover that does not start.
	explainEvery = 3 * time.Second
)

// RunMover runs one mover to its end and returns its result, the content of contract.Result. It passes lines of the log to
// line as they come (from one goroutine at a time, and never after RunMover has returned). A *MoverError says that the mover
// failed or could not start; there may be a result all the same. When RunMover returns, Job, pod and Secret are gone, even if
// ctx has ended, so that the claim is free. RunMover renews what the mover was given while the mover runs, if it expires.
func (c *Client) RunMover(ctx context.Context, cfg MoverConfig, m Mover, line func([]byte)) (result []byte, err error) {
	run := newMoverRun(c, cfg, m, line)
	run.away = timeAway(ctx)
	if m.Mount != "" {
		if err := run.awaitClaim(ctx); err != nil {
			return nil, err
		}
	}
	files, err := cfg.files(ctx)
	if err != nil {
		return nil, fmt.Errorf("find what mover %s/%s is to be given: %w", m.Operation.Namespace, m.Name, err)
	}
	if cfg.ServiceAccount == "" {
		if cfg.ServiceAccount, err = c.ensureAccount(ctx, m.Operation); err != nil {
			return nil, err
		}
	}
	jobs := c.Kube.BatchV1().Jobs(m.Operation.Namespace)
	job, err := c.createJob(ctx, m.Operation, moverJob(cfg, m), m.Busy)
	if err != nil {
		return nil, err
	}
	keys := &moverKeys{client: c, config: cfg, mover: m, job: job}
	defer func() { err = errors.Join(err, c.endMover(ctx, job, keys.secret, m.Waiting)) }()
	if err := keys.begin(ctx, files); err != nil {
		return nil, err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q},"spec":{"suspend":false}}`, job.UID)
	if _, err := jobs.Patch(ctx, m.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return nil, fmt.Errorf("start mover Job %s/%s: %w", job.Namespace, m.Name, err)
	}
	stop := keys.keepInBackground(ctx)
	run.start(job)
	run.away = timeAway(ctx)
	result, err = run.follow(ctx)
	return result, withTrouble(err, stop())
}

// createJob makes a mover's Job, if a sweep would recognize that Job.
func (c *Client) createJob(ctx context.Context, op Operation, job *batchv1.Job, busy func() bool) (*batchv1.Job, error) {
	if o, ours := jobOrigin(job); !ours || o.ID != op.ID {
		return nil, fmt.Errorf("create mover Job %s/%s: no sweep would know it by this name as one of operation %s for claim %s",
			job.Namespace, job.Name, op.ID, job.Annotations[AnnotationClaim])
	}
	jobs := c.Kube.BatchV1().Jobs(job.Namespace)
	var made *batchv1.Job
	err := c.whenRoom(ctx, busy, func() (err error) {
		made, err = jobs.Create(ctx, job, metav1.CreateOptions{})
		return err
	})
	if err == nil {
		return made, nil
	}
	there, readErr := jobs.Get(ctx, job.Name, metav1.GetOptions{})
	if readErr == nil && apierrors.IsAlreadyExists(err) {
		return nil, op.taken("mover Job", there, err)
	}
	// The Job may exist although no answer came. A Job that has been started is an earlier one.
	if readErr == nil && passing(err) && there.Spec.Suspend != nil && *there.Spec.Suspend && there.DeletionTimestamp == nil {
		if o, ours := jobOrigin(there); ours && o.ID == op.ID {
			return there, nil
		}
	}
	return nil, fmt.Errorf("create mover Job %s/%s: %w", job.Namespace, job.Name, err)
}

// ensureAccount makes the operation's ServiceAccount, once.
func (c *Client) ensureAccount(ctx context.Context, op Operation) (string, error) {
	account := moverAccount(op)
	create := func() error {
		_, err := c.Kube.CoreV1().ServiceAccounts(op.Namespace).Create(ctx, account, metav1.CreateOptions{})
		return err
	}
	err := c.whenRoom(ctx, nil, create)
	if err != nil && passing(err) { // it may exist although no answer came
		err = c.whenRoom(ctx, nil, create)
	}
	if apierrors.IsAlreadyExists(err) {
		err = c.ownAccount(ctx, op, account.Name, err)
	}
	if err != nil {
		return "", fmt.Errorf("create ServiceAccount %s/%s: %w", op.Namespace, account.Name, err)
	}
	return account.Name, nil
}

// ownAccount fails unless the existing ServiceAccount is the operation's own: another one may have rights.
func (c *Client) ownAccount(ctx context.Context, op Operation, name string, exists error) error {
	named := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	list, err := c.Kube.CoreV1().ServiceAccounts(op.Namespace).List(ctx, metav1.ListOptions{FieldSelector: named})
	if err != nil {
		return fmt.Errorf("find out whose it is: %w", err)
	}
	at := slices.IndexFunc(list.Items, func(account corev1.ServiceAccount) bool { return account.Name == name })
	if at < 0 {
		return exists // it has gone since
	}
	if o, ours := accountOrigin(&list.Items[at]); ours && o.ID == op.ID {
		return nil
	}
	return op.taken("ServiceAccount", &list.Items[at], exists)
}

func (c *Client) pods(namespace, selector string) view[*corev1.Pod] {
	pods := c.Kube.CoreV1().Pods(namespace)
	return viewOf[*corev1.Pod]("pods in "+namespace, metav1.ListOptions{LabelSelector: selector}, pods.List, pods.Watch)
}

// moverRun follows one mover.
type moverRun struct {
	client *Client
	config MoverConfig
	mover  Mover
	job    *batchv1.Job
	pulse  *moverPulse
	log    *moverLog

	since     time.Time     // of the present trouble, or of the start
	away      time.Duration // timeAway then
	explained time.Time     // when events were last read
	looked    time.Time     // when the running mover was last looked at
	trouble   podState      // the trouble as last explained
	told      string        // what Waiting was last told
	ran       bool          // Waiting was told that the mover runs
	seen      string        // name of the pod
}

func newMoverRun(c *Client, cfg MoverConfig, m Mover, line func([]byte)) *moverRun {
	r := &moverRun{client: c, config: cfg, mover: m, since: c.now(), pulse: &moverPulse{read: cfg.Sign}}
	r.log = &moverLog{
		open: r.openLog,
		line: func(text []byte) {
			r.pulse.hear(text, c.now())
			if line != nil {
				line(text)
			}
		},
		listening: func(yes bool) { r.pulse.listen(yes, c.now()) },
	}
	return r
}

// start is called when the Job may have a pod. It restarts the clock: the time that the claim took does not count for the pod.
func (r *moverRun) start(job *batchv1.Job) {
	r.job, r.since, r.trouble = job, r.client.now(), podState{}
}

// follow waits for the mover's end.
func (r *moverRun) follow(ctx context.Context) (result []byte, err error) {
	var logs sync.WaitGroup
	logging, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	var end podState
	selector := labels.Set{LabelMover: r.mover.Name}.String()
	err = await(ctx, r.client.relist(), r.client.pods(r.job.Namespace, selector), func(pods []*corev1.Pod) (bool, error) {
		if len(pods) == 0 {
			return false, r.noPod(ctx)
		}
		pod := pods[len(pods)-1]
		end = classifyPod(pod)
		if (end.phase == podRunning || end.phase == podEnded && end.exitCode >= 0) && r.seen == "" {
			r.seen = pod.Name
			logs.Go(func() { r.log.follow(logging, ended) })
		}
		switch end.phase {
		case podEnded:
			return true, nil
		case podRunning:
			r.runs()
			return false, r.stands(ctx, pod)
		default:
			return false, r.waiting(ctx, pod, end)
		}
	})
	close(ended)
	// The stream ends by itself soon after the container; a kubelet that does not close the stream must not delay us.
	timer := time.AfterFunc(5*time.Second, stop)
	defer timer.Stop()
	if err != nil {
		stop()
	}
	logs.Wait()
	if err != nil {
		return nil, err
	}
	if end.ok {
		return []byte(end.termination), nil
	}
	last, _ := r.tail(ctx, logTail) // without the tail there is still the reason
	return []byte(end.termination), &MoverError{Pod: r.podName(), Reason: end.reason, Message: end.message, ExitCode: end.exitCode, Log: last}
}

func (r *moverRun) podName() string {
	return r.mover.Operation.Namespace + "/" + cmp.Or(r.seen, r.mover.Name)
}

// runs tells Waiting, once, that the mover runs.
func (r *moverRun) runs() {
	if !r.ran && r.mover.Waiting != nil {
		r.mover.Waiting("")
	}
	r.ran = true
}

// tell tells Waiting what the mover waits for, when that changes.
func (r *moverRun) tell(reason string) {
	if r.mover.Waiting != nil && reason != r.told {
		r.mover.Waiting(reason)
	}
	r.told = reason
}

// noPod is called while there is no pod: the Job controller could not make one, or somebody removed it.
func (r *moverRun) noPod(ctx context.Context) error {
	if r.seen != "" {
		return r.failed(podState{reason: reasonGone, message: "the pod was deleted while it ran"})
	}
	if !r.due() {
		return nil
	}
	job, err := r.client.Kube.BatchV1().Jobs(r.job.Namespace).Get(ctx, r.job.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && job.DeletionTimestamp != nil {
		return r.failed(podState{reason: reasonGone, message: "the Job was deleted by somebody else"})
	}
	state := podState{}
	state.reason, state.message = r.client.lastWarning(ctx, r.job.Namespace, r.job.UID)
	return r.judge(ctx, state)
}

// waiting is called while the pod does not run.
func (r *moverRun) waiting(ctx context.Context, pod *corev1.Pod, state podState) error {
	if state.fatal {
		return r.failed(state)
	}
	if !r.due() {
		return nil
	}
	if state.reason == "" {
		state.reason, state.message = r.client.lastWarning(ctx, pod.Namespace, pod.UID)
	}
	if r.mover.Mount != "" && (state.reason == "" || state.reason == corev1.PodReasonUnschedulable) {
		// The reason may lie in the claim: Kubernetes cannot make its volume.
		claim, err := r.client.Kube.CoreV1().PersistentVolumeClaims(pod.Namespace).Get(ctx, r.mover.Mount, metav1.GetOptions{})
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			if reason, message := r.client.lastWarning(ctx, pod.Namespace, claim.UID); reason != "" {
				state.reason = cmp.Or(state.reason, reason)
				state.message = strings.TrimPrefix(state.message+"; claim "+claim.Name+": "+message, "; ")
			}
		}
	}
	return r.judge(ctx, state)
}

// due reports whether it is time to look for reasons again.
func (r *moverRun) due() bool {
	now := r.client.now()
	if now.Sub(r.since) < explainEvery || now.Sub(r.explained) < explainEvery {
		return false
	}
	r.explained = now
	return true
}

// judge passes on why the mover waits, and gives up when that has lasted too long.
func (r *moverRun) judge(ctx context.Context, state podState) error {
	if patienceFor(state) != patienceFor(r.trouble) {
		r.since, r.away = r.client.now(), timeAway(ctx)
	}
	if r.mover.Busy != nil && quotaFull(state.message) && r.mover.Busy() {
		r.since, r.away = r.client.now(), timeAway(ctx) // its turn comes when the others have ended
	}
	r.trouble = state
	r.tell(strings.TrimSuffix(state.reason+": "+state.message, ": "))
	limit := cmp.Or(r.config.StartTimeout, startTimeout)
	if patience := patienceFor(state); patience > 0 {
		limit = min(limit, patience)
	}
	// While the API server was away, nobody could start the mover.
	waited := r.client.now().Sub(r.since) - (timeAway(ctx) - r.away)
	if waited < limit {
		return nil
	}
	state.reason = cmp.Or(state.reason, reasonNotStarted)
	state.message = cmp.Or(state.message, "Kubernetes gives no reason")
	state.message += fmt.Sprintf(" (for %s)", waited.Round(time.Second))
	return r.failed(state)
}

func (r *moverRun) failed(state podState) error {
	return &MoverError{Pod: r.podName(), Reason: state.reason, Message: state.message, ExitCode: -1}
}
