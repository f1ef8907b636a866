package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// renewWithin bounds one attempt to renew a mover's files.
	renewWithin = time.Minute
	// renewEvery is the pause between attempts when little time is left; renewLeast is the shortest pause ever.
	renewEvery = time.Minute
	renewLeast = 10 * time.Second
	// renewHurry is how much time counts as little. A kubelet takes up to a minute and a half to show a pod what its Secret holds.
	renewHurry = 10 * time.Minute
)

// KeyFiles are the files with which a mover opens the bucket and its repository.
type KeyFiles struct {
	// Content is the content of the files, by name.
	Content map[string][]byte
	// Expires is when some of the content stops being valid; zero means never.
	Expires time.Time
}

// Format implements fmt.Formatter for every verb, so that no way of printing shows a secret.
func (f KeyFiles) Format(state fmt.State, _ rune) {
	fmt.Fprintf(state, "%d files that expire at %s", len(f.Content), f.Expires)
}

func (f KeyFiles) equal(other KeyFiles) bool {
	return maps.EqualFunc(f.Content, other.Content, bytes.Equal)
}

// files asks for the files of a mover.
func (cfg MoverConfig) files(ctx context.Context) (KeyFiles, error) {
	if cfg.Files == nil {
		return KeyFiles{}, nil
	}
	return cfg.Files(ctx)
}

// renewIn is how long to wait before renewing files that stay valid for the time left: half of that time, and
// less when it is short. Whoever supplies the files may have no newer ones yet, or fail.
func renewIn(left time.Duration) time.Duration {
	next := left / 2
	if left <= renewHurry {
		next = min(next, renewEvery)
	}
	return max(next, renewLeast)
}

// moverKeys is the Secret of a mover, with its content.
type moverKeys struct {
	client *Client
	config MoverConfig
	mover  Mover
	job    *batchv1.Job

	files   KeyFiles
	secret  *corev1.Secret // nil while there is none, or none is known
	unsure  bool           // a Secret may exist, from an attempt that got no answer
	trouble error          // of the last attempt to renew the files
}

// create makes the Secret. Its owner is the Job, so that it goes with the Job if nobody is left to remove it.
func (k *moverKeys) create(ctx context.Context, files KeyFiles) error {
	var secret *corev1.Secret
	err := k.client.whenRoom(ctx, k.mover.Busy, func() (err error) {
		secret, err = k.client.Kube.CoreV1().Secrets(k.job.Namespace).Create(ctx, moverSecret(files, k.mover, k.job), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		k.unsure = k.unsure || passing(err) || ctx.Err() != nil
		return fmt.Errorf("create mover Secret %s/%s: %w", k.job.Namespace, k.mover.Name, err)
	}
	k.files, k.secret, k.unsure = files, secret, false
	return nil
}

// begin makes the Secret. It tries once more if no answer came: the Secret may exist or not.
func (k *moverKeys) begin(ctx context.Context, files KeyFiles) error {
	err := k.create(ctx, files)
	if err == nil || !k.unsure || ctx.Err() != nil {
		return err
	}
	if err := k.drop(ctx); err != nil {
		return err
	}
	return k.create(ctx, files)
}

// keep renews the files until ctx ends, if they expire.
func (k *moverKeys) keep(ctx context.Context) {
	for !k.files.Expires.IsZero() {
		if wait.For(ctx, renewIn(k.files.Expires.Sub(k.client.now()))) != nil {
			return
		}
		if err := k.renew(ctx); ctx.Err() == nil {
			k.trouble = err
		}
	}
}

// keepInBackground runs keep in the background. stop ends it, and returns why the last attempt to renew the files failed, if it did.
func (k *moverKeys) keepInBackground(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { k.keep(ctx) })
	return func() error {
		cancel()
		keeping.Wait()
		return k.trouble
	}
}

// withTrouble adds to a mover's failure that the mover may have had no valid keys.
func withTrouble(err, trouble error) error {
	var failed *MoverError
	if trouble != nil && errors.As(err, &failed) {
		failed.Note = trouble.Error()
	}
	return err
}

// renew asks for the files again, and puts them where the mover sees them. It makes a new Secret: that takes
// only rights that a mover needs anyway, while the right to change one Secret would be the right to change
// everybody's. A kubelet that looks while there is no Secret leaves the old files in the pod.
func (k *moverKeys) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewWithin)
	defer cancel()
	fresh, err := k.config.files(ctx)
	if err != nil {
		return fmt.Errorf("renew the keys of mover %s/%s: %w", k.job.Namespace, k.mover.Name, err)
	}
	if k.secret != nil && fresh.equal(k.files) {
		k.files.Expires = fresh.Expires
		return nil
	}
	for {
		// A mover that has not started yet could not start without its Secret: this is worth more than one attempt.
		err := k.drop(ctx)
		if err == nil {
			err = k.create(ctx, fresh)
		}
		if err == nil || wait.For(ctx, awaitRetry) != nil {
			return err
		}
	}
}

// drop deletes the mover's own Secret, and never another that may have its name by now.
func (k *moverKeys) drop(ctx context.Context) error {
	var options metav1.DeleteOptions
	switch {
	case k.secret != nil:
		options.Preconditions = &metav1.Preconditions{UID: &k.secret.UID}
	case !k.unsure:
		return nil
	}
	err := k.client.Kube.CoreV1().Secrets(k.job.Namespace).Delete(ctx, k.mover.Name, options)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("replace mover Secret %s/%s: %w", k.job.Namespace, k.mover.Name, err)
	}
	k.secret, k.unsure = nil, false
	return nil
}
