package nodeconfig

// Key material is handed out in Secrets of a namespace of their own, each a copy of what users have. Leave to read
// Secrets cannot be given by label, so nothing else may be there: whoever reads them reads no password of the
// controller's. The documents name them ([lb.Material]); what is in them is in no document, so that reading the
// ConfigMaps tells nothing of a key.
const (
	// TLSNamespace is that namespace, where the configuration does not name another.
	TLSNamespace = "kubectl-lb-tls"
	// AppTLS is the value of [LabelApp] of these Secrets, TypeTLS their type.
	AppTLS  = "kubectl-lb-tls"
	TypeTLS = "kubectl-lb.io/tls"
	// KeyCertificate is the key of a certificate chain with its private key, KeyBundle that of certificates of
	// authorities. A Secret has one of the two.
	KeyCertificate = "tls.pem"
	KeyBundle      = "ca.pem"
	// AnnotationSource says what a Secret is a copy of, such as "Secret web/tea", AnnotationDigest which version.
	AnnotationSource = "kubectl-lb.io/source"
	AnnotationDigest = "kubectl-lb.io/digest"
)

// TicketsName is the name of the Secret with the keys of TLS session tickets. All nodes share them, or a session could
// not be resumed after a failover.
const (
	TicketsName = "lb-tls-tickets"
	// KeyTicketNow makes tickets. KeyTicketNext will after the next rotation, and is known before, so that a node that
	// is late can read what others make; KeyTicketBefore did before the last.
	KeyTicketNow    = "now"
	KeyTicketNext   = "next"
	KeyTicketBefore = "before"
	// AnnotationRotated is when they were last rotated (RFC 3339).
	AnnotationRotated = "kubectl-lb.io/rotated"
)

// TicketKeys returns the keys of [TicketsName] in the order in which nginx wants them.
func TicketKeys() []string { return []string{KeyTicketNow, KeyTicketNext, KeyTicketBefore} }
