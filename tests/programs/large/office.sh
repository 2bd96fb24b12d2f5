#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# LibreOffice without a screen: documents turned into PDF and others.
command -v soffice >/dev/null || { echo "libreoffice-writer-nogui is missing"; exit 77; }
printf '{\\rtf1\\ansi {\\b Title}\\par A line of text.\\par }' >a.rtf
printf '<html><body><h1>Head</h1><table border=1><tr><td>1</td><td>2</td></tr></table></body></html>' >b.html
s() { timeout 200 soffice --headless --norestore "-env:UserInstallation=file://$HOME/p" "$@" 2>&1 | grep -v -e '^$' -e javaldx; }
s --convert-to pdf a.rtf | sed 's/.*-> //'; head -c 5 a.pdf; echo; tail -c 6 a.pdf | tr -d '\n'; echo; [ "$(stat -c %s a.pdf)" -gt 3000 ] && echo large
s --convert-to odt a.rtf | sed 's/.*-> //'; s --convert-to docx a.odt | sed 's/.*-> //'; s --convert-to txt:Text a.docx | sed 's/.*-> //'; cat a.txt | tr -d '\357\273\277\r'
s --convert-to pdf:writer_web_pdf_Export b.html | sed 's/.*-> //'; head -c 5 b.pdf; echo
s --cat a.docx | tr -d '\357\273\277\r'
