package compose

import (
	"net/http"
	"path"
	"strings"
)

// TypeOf returns the media type of a file for which none is stated, without parameters: that of its name's extension, as offices
// know it, else what the content looks like. It is the same on every computer: the system's own tables are not asked.
func TypeOf(name string, content []byte) string {
	if known, ok := typesByExtension[strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))]; ok {
		return known
	}
	detected, _, _ := strings.Cut(http.DetectContentType(content), ";")
	return detected
}

// typesByExtension are the registered types (iana.org/assignments/media-types), or the ones in use where none is registered. A
// message in a file of which nobody says that it is one is opaque.
var typesByExtension = map[string]string{
	"pdf": "application/pdf", "rtf": "application/rtf", "txt": "text/plain", "log": "text/plain", "csv": "text/csv",
	"tsv": "text/tab-separated-values", "htm": "text/html", "html": "text/html", "md": "text/markdown", "css": "text/css",
	"xml": "application/xml", "json": "application/json", "yaml": "application/yaml", "yml": "application/yaml", "sql": "application/sql",

	"doc":  "application/msword",
	"dot":  "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"dotx": "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
	"docm": "application/vnd.ms-word.document.macroEnabled.12",
	"xls":  "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"xltx": "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
	"xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
	"xlsb": "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
	"ppt":  "application/vnd.ms-powerpoint",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
	"odt":  "application/vnd.oasis.opendocument.text",
	"ods":  "application/vnd.oasis.opendocument.spreadsheet",
	"odp":  "application/vnd.oasis.opendocument.presentation",
	"msg":  "application/vnd.ms-outlook",
	"eml":  "application/octet-stream",
	"ics":  "text/calendar",
	"vcf":  "text/vcard",
	"p7m":  "application/pkcs7-mime",
	"p7s":  "application/pkcs7-signature",
	"asc":  "application/pgp-signature",

	"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "svg": "image/svg+xml",
	"tif": "image/tiff", "tiff": "image/tiff", "bmp": "image/bmp", "heic": "image/heic", "ico": "image/vnd.microsoft.icon",
	"mp3": "audio/mpeg", "wav": "audio/wav", "mp4": "video/mp4", "mov": "video/quicktime",

	"zip": "application/zip", "7z": "application/x-7z-compressed", "rar": "application/vnd.rar", "gz": "application/gzip",
	"tar": "application/x-tar", "exe": "application/vnd.microsoft.portable-executable", "dll": "application/vnd.microsoft.portable-executable",
	"msi": "application/x-msi", "jar": "application/java-archive", "js": "text/javascript",
}
