package mailing

// BodyTemplate is the name under which a run keeps a subject and a body that a person gave it in place of a template (Start.Text,
// Start.HTML). No folder of templates can have it. What is kept is a template: {{.name}} in it is a value of the row.
const BodyTemplate = "@body"

// TemplateName is what the mails of the run name as their template. Those of BodyTemplate have no subject of their own: it is part of it.
func (s Spec) TemplateName() string {
	if s.Template == "" && s.Text+s.HTML != "" {
		return BodyTemplate
	}
	return s.Template
}
