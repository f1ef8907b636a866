package restore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// checkManagers refuses if another tool would reset the StatefulSet while it is at 0 replicas, unless we can
// see that the tool is suspended, or a person overrides the refusal.
func (p *Plan) checkManagers() {
	s, sts := p.situation, p.situation.StatefulSet
	if owner := metav1.GetControllerOf(sts); owner != nil {
		p.managed(
			fmt.Sprintf("%s %s controls it, and its operator would scale it up again during the restore", owner.Kind, owner.Name),
			fmt.Sprintf(
				"stop that operator, take its ownerReference off (kubectl -n %s patch statefulset %s --type=json -p "+
					"'[{\"op\":\"remove\",\"path\":\"/metadata/ownerReferences\"}]'), restore, and start it again",
				p.Namespace,
				p.StatefulSet,
			),
		)
	}
	for i := range s.Autoscalers {
		p.checkAutoscaler(&s.Autoscalers[i])
	}
	for _, m := range s.Managers {
		p.checkManager(m)
	}
	if tool := otherManager(sts); tool != "" {
		p.warnf(
			"%s: if that reverts the StatefulSet before the restore is done, pods may start, and the restore stops and puts everything "+
				"back; suspend it first",
			tool,
		)
	}
}

// managed refuses; with PlanOptions.IgnoreManager it warns instead.
func (p *Plan) managed(reason, next string) {
	if p.options.IgnoreManager {
		p.warnf(
			"%s; ignored, as you asked: if it happens before the restore is done, pods may start, and the restore stops and puts "+
				"everything back",
			reason,
		)
		return
	}
	p.refuse(reason, next+"; to restore all the same, give --ignore-manager")
}

// checkAutoscaler refuses because of a HorizontalPodAutoscaler that targets the StatefulSet. It ignores one
// that KEDA made: the ScaledObject is checked instead, because KEDA would make the autoscaler again.
func (p *Plan) checkAutoscaler(hpa *autoscalingv2.HorizontalPodAutoscaler) {
	if ref := hpa.Spec.ScaleTargetRef; ref.Kind != "StatefulSet" || ref.Name != p.StatefulSet {
		return
	}
	scaler := hpa.Labels["scaledobject.keda.sh/name"]
	switch {
	case scaler == "":
		p.managed(
			fmt.Sprintf("HorizontalPodAutoscaler %s scales it, and would do so during the restore", hpa.Name),
			fmt.Sprintf(
				"save and delete it (kubectl -n %[1]s get hpa %[2]s -o yaml > %[2]s.yaml && kubectl -n %[1]s delete hpa %[2]s), restore, and create "+
					"it again",
				p.Namespace,
				hpa.Name,
			),
		)
	case !slices.ContainsFunc(p.situation.Managers, func(m cluster.Manager) bool {
		return m.Kind == cluster.ManagerScaledObject && m.Name == scaler
	}):
		p.checkManager(cluster.Manager{Kind: cluster.ManagerScaledObject, Namespace: p.Namespace, Name: scaler, State: cluster.ManagerUnknown,
			Why: "only its HorizontalPodAutoscaler " + hpa.Name + " could be read"})
	}
}

// checkManager refuses because of a manager that is active, or whose state is not known.
func (p *Plan) checkManager(m cluster.Manager) {
	name, commands := managerText(m), commandsOf(m)
	switch {
	case m.State == cluster.ManagerSuspended && m.Kind == cluster.ManagerApplication:
		// Perhaps nobody suspended it: many are synced by hand.
	case m.State == cluster.ManagerSuspended:
		p.warnf("%s is suspended; after the restore, resume it: %s", name, commands.resume)
	case m.State == cluster.ManagerUnknown && m.Doubtful:
		p.warnf("could not check whether %s manages it: %s", name, m.Why)
	case m.State == cluster.ManagerUnknown:
		p.managed(
			fmt.Sprintf("%s manages it, and could not be read: %s; if it is active, it would revert the StatefulSet during the "+
				"restore", name, m.Why),
			fmt.Sprintf("suspend it where it is: %s; restore; then resume it: %s", commands.suspend, commands.resume),
		)
	default:
		next := fmt.Sprintf("suspend it: %s; restore; then resume it: %s", commands.suspend, commands.resume)
		if m.MadeBy != "" {
			next = fmt.Sprintf(
				"suspend it in ApplicationSet %s, which made it and would undo a change of the Application alone; or, if it would not: "+
					"%s; restore; then "+
					"resume it: %s",
				m.MadeBy,
				commands.suspend,
				commands.resume,
			)
		}
		p.managed(name+" manages it, and would revert it during the restore", next)
	}
}

// managerText names a manager: "Argo CD's Application argocd/web".
func managerText(m cluster.Manager) string {
	tool := map[cluster.ManagerKind]string{
		cluster.ManagerApplication: "Argo CD", cluster.ManagerKustomization: "Flux", cluster.ManagerHelmRelease: "Flux",
		cluster.ManagerScaledObject: "KEDA",
	}[m.Kind]
	switch {
	case m.Name == "":
		return fmt.Sprintf("a %s of %s", m.Kind, tool)
	case m.Namespace == "":
		return fmt.Sprintf("%s's %s %s", tool, m.Kind, m.Name)
	default:
		return fmt.Sprintf("%s's %s %s/%s", tool, m.Kind, m.Namespace, m.Name)
	}
}

// managerCommands are the commands with which a person suspends and resumes a manager.
type managerCommands struct{ suspend, resume string }

// commandsOf returns the tool's own command, and one for kubectl.
func commandsOf(m cluster.Manager) managerCommands {
	patch := func(patch string) string {
		return fmt.Sprintf("kubectl -n %s patch %s %s --type=merge -p '%s'", cmp.Or(m.Namespace, "NAMESPACE"), m.Kind.Resource(), m.Name, patch)
	}
	switch m.Kind {
	case cluster.ManagerApplication:
		name := m.Name
		if m.Namespace != "" && m.Namespace != "argocd" {
			name = m.Namespace + "/" + m.Name
		}
		automated := cmp.Or(m.Automated, "{}")
		flags := ""
		for _, flag := range []struct{ name, field string }{{" --auto-prune", `"prune":true`}, {" --self-heal", `"selfHeal":true`}} {
			if strings.Contains(automated, flag.field) {
				flags += flag.name
			}
		}
		return managerCommands{
			suspend: fmt.Sprintf("argocd app set %s --sync-policy none, or %s", name, patch(`{"spec":{"syncPolicy":{"automated":null}}}`)),
			resume: fmt.Sprintf(
				"argocd app set %s --sync-policy automated%s, or %s",
				name,
				flags,
				patch(`{"spec":{"syncPolicy":{"automated":`+automated+`}}}`),
			),
		}
	case cluster.ManagerScaledObject:
		annotate := func(mark string) string {
			return fmt.Sprintf("kubectl -n %s annotate %s %s --overwrite %s", m.Namespace, m.Kind.Resource(), m.Name, mark)
		}
		return managerCommands{
			suspend: annotate("autoscaling.keda.sh/paused=true"),
			resume:  annotate("autoscaling.keda.sh/paused- autoscaling.keda.sh/paused-replicas-"),
		}
	default:
		flux := func(verb string) string {
			return fmt.Sprintf("flux %s %s %s -n %s", verb, strings.ToLower(string(m.Kind)), m.Name, m.Namespace)
		}
		return managerCommands{
			suspend: flux("suspend") + ", or " + patch(`{"spec":{"suspend":true}}`),
			resume:  flux("resume") + ", or " + patch(`{"spec":{"suspend":false}}`),
		}
	}
}

// otherManager names a tool that keeps the StatefulSet in a state defined elsewhere, and whose objects we do
// not read; empty if there is none.
func otherManager(sts metav1.Object) string {
	labels, annotations := sts.GetLabels(), sts.GetAnnotations()
	for _, known := range []struct{ mark, tool string }{
		{"objectset.rio.cattle.io/id", "Rancher Fleet, or something else that applies Rancher's object sets"},
		{"kapp.k14s.io/app", "kapp"},
		{"configmanagement.gke.io/managed", "Config Sync"},
		{"configsync.gke.io/resource-id", "Config Sync"},
	} {
		_, labelled := labels[known.mark]
		value, annotated := annotations[known.mark]
		if labelled || annotated && value != "disabled" {
			return fmt.Sprintf("%s manages this StatefulSet (%s)", known.tool, known.mark)
		}
	}
	return ""
}
