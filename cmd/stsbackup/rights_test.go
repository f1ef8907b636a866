package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// poor is a cluster in which the user has only some rights.
func poor(t *testing.T, user string, may func(authorizationv1.ResourceAttributes) bool) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	})
	mux.HandleFunc("GET /apis", func(w http.ResponseWriter, _ *http.Request) {
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, name := range []string{"apps", "batch", "coordination.k8s.io", "storage.k8s.io"} {
			version := metav1.GroupVersionForDiscovery{GroupVersion: name + "/v1", Version: "v1"}
			list.Groups = append(
				list.Groups,
				metav1.APIGroup{Name: name, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version},
			)
		}
		reply(w, http.StatusOK, list)
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		object, _, decodeErr := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
		review, ok := object.(*authorizationv1.SelfSubjectAccessReview)
		if err != nil || !ok {
			t.Errorf("a review that cannot be read: %v, %v", err, decodeErr)
			return
		}
		review.TypeMeta = metav1.TypeMeta{Kind: "SelfSubjectAccessReview", APIVersion: "authorization.k8s.io/v1"}
		review.Status.Allowed = may(*review.Spec.ResourceAttributes)
		reply(w, http.StatusCreated, review)
	})
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusCreated, authenticationv1.SelfSubjectReview{
			TypeMeta: metav1.TypeMeta{Kind: "SelfSubjectReview", APIVersion: "authentication.k8s.io/v1"},
			Status:   authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: user}},
		})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusForbidden, metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonForbidden,
			Code: http.StatusForbidden, Message: r.URL.Path + " is forbidden",
		})
	})
	return kubeconfig(t, mux)
}

// TestMissingRights: the error names all missing rights at once, who can grant them, how, and to whom.
func TestMissingRights(t *testing.T) {
	s := volumeShell(t)
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	s.env["STSBACKUP_IMAGE"] = "stsbackup:test"
	s.env["STSBACKUP_MOVER_REPO"] = "s3://bucket/root?endpoint=http://127.0.0.1:1&region=r"
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	inDemo := func(r authorizationv1.ResourceAttributes) bool { // a user with the role view in one namespace
		return r.Namespace == "demo" && (r.Verb == "get" || r.Verb == "list" || r.Verb == "watch")
	}
	s.run(exitFailed, "backup", "demo/web", "--kubeconfig", poor(t, "alice@example.com", inDemo))
	s.says(
		"forbidden",
		"of the rights that deploy/base/clusterrole.yaml gives, these are missing:\n",
		"\n  in namespace demo: create, delete secrets\n",
		"\n  in namespace demo: create, update, delete leases.coordination.k8s.io\n",
		"\n  in the whole cluster: get namespaces kube-system\n",
		"\n  in the whole cluster: list storageclasses.storage.k8s.io\n",
		"kubectl apply -f deploy/base/clusterrole.yaml && kubectl create clusterrolebinding stsbackup-rights --clusterrole=stsbackup "+
			"--user=alice@example.com\n",
		"docs/rbac.md",
	)
	for _, text := range []string{" configmaps\n", "list pods", "snapshot.storage.k8s.io", "argoproj.io", "services"} {
		if strings.Contains(s.err.String(), text) {
			t.Errorf("it says that %q is missing, which is not needed, or not missing:\n%s", text, &s.err)
		}
	}
	s.run(exitFailed, "backup", "--all", "-A", "--kubeconfig", poor(t, "system:serviceaccount:ops:night shift", inDemo))
	s.says("in the whole cluster: get, list statefulsets.apps", "'--serviceaccount=ops:night shift'")
	s.run(exitFailed, "undo", "demo/web", "--yes", "--kubeconfig", poor(t, "bob", inDemo))
	s.says("in namespace demo: create, update, delete configmaps", "in namespace demo: patch statefulsets.apps")
	// If no right is missing, something else has forbidden it.
	s.run(exitFailed, "backup", "demo/web", "--kubeconfig", poor(t, "alice", func(authorizationv1.ResourceAttributes) bool { return true }))
	if text := s.err.String(); !strings.Contains(text, "is forbidden") || strings.Contains(text, "missing") {
		t.Error(text)
	}
}
