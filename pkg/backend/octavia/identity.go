package octavia

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxText is the length that Octavia allows a name or a tag, in bytes.
const maxText = 255

// cutMark stands before the hash of what was too long. It is in no name of Kubernetes.
const cutMark = "~"

// The tags of what is ours.
const (
	tagCluster = "kubectl-lb-cluster="
	tagObject  = "kubectl-lb-configmap="
	tagUID     = "kubectl-lb-uid="
	// tagShare is in the place of tagObject on a load balancer that several objects share, tagSharer names each of them.
	tagShare  = "kubectl-lb-share="
	tagSharer = "kubectl-lb-sharer="
)

// sharePrefix begins the name of a share's owner; see [lb.LoadBalancer.Owner].
const sharePrefix = "share "

// Identity is what tags say: whose a load balancer is.
type Identity struct {
	// Cluster is the UID of the kube-system namespace.
	Cluster string
	// Origin is the object that it is for. Where several share it, its key is that of [lb.LoadBalancer.Owner].
	Origin lb.Origin
	// Sharers are those who share it, none where it is one object's alone.
	Sharers []lb.Origin
}

// Tags are a load balancer's tags, sorted. The object's UID is there for people and for what is replaced.
func (i Identity) Tags() []string {
	tags := i.ChildTags()
	if !isShare(i.Origin.Key) {
		tags = append(tags, tagUID+i.Origin.UID)
	}
	for _, o := range i.Sharers {
		tags = append(tags, tagUID+o.UID, sharerTag(o.Key))
	}
	return sorted(tags)
}

// ChildTags are the tags of its children, sorted. They stay when the object is replaced by one of the same name.
func (i Identity) ChildTags() []string {
	return sorted([]string{i.clusterTag(), objectTag(i.Origin.Key)})
}

func (i Identity) clusterTag() string { return tagCluster + i.Cluster }

// Name is the load balancer's name, for people: Octavia lets any number of load balancers have it.
func (i Identity) Name() string {
	if share, ok := shareOf(i.Origin.Key); ok {
		return shorten(strings.ReplaceAll(share, "/", "-") + "-shared-loadbalancer")
	}
	return shorten(i.Origin.Namespace + "-" + i.Origin.Name + "-loadbalancer")
}

// objectTag names the object. Names of Kubernetes may be longer than a tag; a long one is cut, and told from others by
// its hash. For the key of a share it is the share's.
func objectTag(k lb.Key) string {
	if share, ok := shareOf(k); ok {
		return shorten(tagShare + share)
	}
	return shorten(tagObject + k.String())
}

// sharerTag names an object on a load balancer that it shares.
func sharerTag(k lb.Key) string { return shorten(tagSharer + k.String()) }

// tagsOfSharer are those that say of something that an object has to do with it.
func tagsOfSharer(o lb.Origin) []string {
	return []string{objectTag(o.Key), sharerTag(o.Key), tagUID + o.UID}
}

// sharersOf reads the objects that share a load balancer; of a name that was cut nothing can be read.
func sharersOf(tags []string) (all []lb.Key) {
	for _, t := range tags {
		if text, ok := strings.CutPrefix(t, tagSharer); ok && !strings.Contains(text, cutMark) {
			if k, err := lb.ParseKey(text); err == nil {
				all = append(all, k)
			}
		}
	}
	return all
}

// shareOf returns the name of the share that a key stands for; false where it is an object's.
func shareOf(k lb.Key) (string, bool) {
	share, ok := strings.CutPrefix(k.Name, sharePrefix)
	return share, ok && k.Namespace == ""
}

func isShare(k lb.Key) bool {
	_, ok := shareOf(k)
	return ok
}

// describe names a key in a text for people.
func describe(k lb.Key) string {
	if share, ok := shareOf(k); ok {
		return sharePrefix + share
	}
	return k.String()
}

// shareKeyOf reads the share's tag, and returns the key that stands for it; what was cut cannot be read.
func shareKeyOf(tags []string) (lb.Key, bool) {
	for _, t := range tags {
		if text, ok := strings.CutPrefix(t, tagShare); ok {
			return lb.Key{Name: sharePrefix + text}, !strings.Contains(text, cutMark)
		}
	}
	return lb.Key{}, false
}

// keyOf reads the object's tag; what was cut cannot be read.
func keyOf(tags []string) (lb.Key, bool) {
	for _, t := range tags {
		if text, ok := strings.CutPrefix(t, tagObject); ok {
			k, err := lb.ParseKey(text)
			return k, err == nil && !strings.Contains(text, cutMark)
		}
	}
	return lb.Key{}, false
}

// owned reports whether tags hold all of those that are asked for. Octavia's own filter is not to be trusted alone: the
// link to its next page drops it.
func owned(tags, asked []string) bool {
	return !slices.ContainsFunc(asked, func(t string) bool { return !slices.Contains(tags, t) })
}

// withTags returns what of the tags is not of our making, and ours.
func withTags(tags, ours []string) []string {
	foreign := slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return !isForeign(t) })
	return sorted(append(foreign, ours...))
}

func isForeign(tag string) bool {
	return !slices.ContainsFunc([]string{tagCluster, tagObject, tagUID, tagShare, tagSharer}, func(p string) bool {
		return strings.HasPrefix(tag, p)
	})
}

func shorten(s string) string { return shortenTo(s, maxText) }

// shortenTo cuts what is longer than that many bytes, and tells it from others by its hash.
func shortenTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most-17] + cutMark + digest(s)
}

// digest returns 16 hexadecimal digits that stand for the text.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
