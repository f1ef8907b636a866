package leak

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	again       = time.Second            // after a watch that could not begin
	sampleEvery = 200 * time.Millisecond // of process arguments
	longestLine = 1 << 20
)

// Watch looks at the cluster and at this machine's processes until ctx ends. It returns when everything has begun; wait
// returns when everything has ended.
func (c *Collector) Watch(ctx context.Context, config *rest.Config) (wait func(), err error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 200, 400
	config.WarningHandler = rest.NoWarnings{}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	lists, err := discovery.ServerPreferredResources(kube.Discovery())
	if err != nil {
		return nil, fmt.Errorf("find the kinds of objects: %w", err)
	}
	w := &watcher{collector: c, kube: kube, objects: objects, followed: map[string]bool{}}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("find the kinds of objects: %w", err)
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "watch") || group.Group == "" && resource.Name == "secrets" {
				continue
			}
			w.tasks.Go(func() { w.kind(ctx, group.WithResource(resource.Name), resource.Kind) })
		}
	}
	w.tasks.Go(func() { c.processes(ctx) })
	return w.tasks.Wait, nil
}

// watcher is a Collector at work on a cluster.
type watcher struct {
	collector *Collector
	kube      kubernetes.Interface
	objects   dynamic.Interface
	tasks     sync.WaitGroup
	mu        sync.Mutex
	followed  map[string]bool // containers whose logs have been requested
}

// kind lists and watches all objects of a kind.
func (w *watcher) kind(ctx context.Context, resource schema.GroupVersionResource, kind string) {
	for ctx.Err() == nil {
		list, err := w.objects.Resource(resource).List(ctx, metav1.ListOptions{})
		if err != nil {
			pause(ctx, again)
			continue
		}
		for i := range list.Items {
			w.object(ctx, kind, &list.Items[i])
		}
		changes, err := w.objects.Resource(resource).Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
		if err != nil {
			pause(ctx, again)
			continue
		}
		for event := range changes.ResultChan() {
			if object, ok := event.Object.(*unstructured.Unstructured); ok && object.GetKind() == kind {
				w.object(ctx, kind, object)
			}
		}
		changes.Stop()
	}
}

func (w *watcher) object(ctx context.Context, kind string, object *unstructured.Unstructured) {
	if kind == "StatefulSet" && w.collector.Derive != nil {
		for name, value := range w.collector.Derive(object.GetNamespace(), object.GetName()) {
			w.collector.Guard(name, value)
		}
	}
	text, err := json.Marshal(object.Object)
	if err != nil {
		return // it came as JSON
	}
	w.collector.Text(kind, object.GetNamespace()+"/"+object.GetName(), text)
	if kind == "Pod" {
		w.logs(ctx, object)
	}
}

// logs follows the log of every container of a pod that runs or has run.
func (w *watcher) logs(ctx context.Context, object *unstructured.Unstructured) {
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &pod); err != nil {
		return // cannot happen: everything that the API server sends here is a pod
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if status.State.Running == nil && status.State.Terminated == nil {
			continue
		}
		key := string(pod.UID) + "/" + status.Name + "/" + strconv.Itoa(int(status.RestartCount))
		w.mu.Lock()
		known := w.followed[key]
		w.followed[key] = true
		w.mu.Unlock()
		if !known {
			w.tasks.Go(func() {
				if w.follow(ctx, pod.Namespace, pod.Name, status.Name) != nil {
					w.mu.Lock()
					delete(w.followed, key) // the API server has ended; when it is back, it lists the pod again
					w.mu.Unlock()
				}
			})
		}
	}
}

// follow searches a log from its beginning to its end. An error says that there may be more.
func (w *watcher) follow(ctx context.Context, namespace, pod, container string) error {
	request := w.kube.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true})
	log, err := request.Stream(ctx)
	if err != nil {
		return err // the pod may be gone already
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		w.collector.Text(PlaceLog, "pod "+namespace+"/"+pod+" container "+container, lines.Bytes())
	}
	return lines.Err()
}

// processes samples the command lines of all processes. It searches a command line again only when there are more
// secrets.
func (c *Collector) processes(ctx context.Context) {
	known := map[string]int{}
	for ctx.Err() == nil {
		entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return // the pattern is well formed
		}
		for _, entry := range entries {
			line, err := os.ReadFile(entry)
			secrets := c.Guarded()
			if err != nil || len(line) == 0 || known[string(line)] == secrets { // it has ended, or is the kernel's, or is known
				continue
			}
			c.Text(PlaceProcess, firstWord(line), line)
			known[string(line)] = secrets
		}
		pause(ctx, sampleEvery)
	}
}

// firstWord is the program of a command line, whose words end with zero bytes.
func firstWord(line []byte) string {
	if end := slices.Index(line, 0); end >= 0 {
		line = line[:end]
	}
	return string(line)
}

// Files searches all files of a folder, line by line.
func (c *Collector) Files(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if os.IsNotExist(err) {
			return nil // a log that has been removed
		}
		if err != nil {
			return err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, longestLine)
		for lines.Scan() {
			c.Text(PlaceLog, "file "+filepath.Base(path), lines.Bytes())
		}
		return nil
	})
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
