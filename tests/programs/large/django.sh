#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Django: a project, migrations, its tests, and the server answering requests, and started again when a file changes.
/usr/bin/python3 -c 'import django' 2>/dev/null || { echo "python3-django is missing"; exit 77; }
command -v curl >/dev/null || { echo "curl is missing"; exit 77; }
m() { /usr/bin/python3 manage.py "$@"; }
/usr/bin/python3 -m django startproject site1 . && m startapp notes || exit 1
cat >notes/models.py <<'E'
from django.db import models
class Note(models.Model):
    text = models.CharField(max_length=100)
E
cat >site1/urls.py <<'E'
from django.contrib import admin
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from notes.models import Note
@csrf_exempt
def notes(r):
    if r.method == "POST": Note.objects.create(text=r.POST["text"])
    return JsonResponse({"notes": list(Note.objects.values_list("text", flat=True))})
urlpatterns = [path("admin/", admin.site.urls), path("notes", notes), path("word", lambda r: JsonResponse({"word": "first"}))]
E
cat >notes/tests.py <<'E'
from django.test import TestCase, LiveServerTestCase
from urllib.request import urlopen
from .models import Note
class A(TestCase):
    def test_note(self): Note.objects.create(text="a"); self.assertEqual(self.client.get("/notes").json(), {"notes": ["a"]})
class B(LiveServerTestCase):
    def test_live(self): self.assertEqual(urlopen(self.live_server_url + "/notes").status, 200)
E
echo 'INSTALLED_APPS += ["notes"]' >>site1/settings.py
m makemigrations notes | grep -c Create; m migrate | grep -c OK; m test 2>&1 | grep -E "^(Ran|OK|FAILED)" | sed 's/ in .*//'
m test --parallel 2 2>&1 | grep -E "^(OK|FAILED)"
m runserver 127.0.0.1:18150 >log 2>&1 & P=$!
for _ in $(seq 200); do curl -s -o out http://127.0.0.1:18150/word && break; sleep 0.1; done
curl -s http://127.0.0.1:18150/word; echo
for i in 1 2 3 4 5; do curl -s -d "text=n$i" http://127.0.0.1:18150/notes >out; done; curl -s http://127.0.0.1:18150/notes; echo
curl -s -o out -w '%{http_code}\n' http://127.0.0.1:18150/admin/login/; curl -s -o out -w '%{http_code}\n' http://127.0.0.1:18150/none
sleep 1.2; sed -i 's/first/second/' site1/urls.py
for _ in $(seq 200); do curl -s http://127.0.0.1:18150/word | grep second && break; sleep 0.1; done
C=$(cat /proc/$P/task/$P/children) # the server itself, which its watcher leaves
kill $P; wait $P; echo "end $?"; kill $C
for _ in $(seq 50); do curl -s -o out http://127.0.0.1:18150/word || { echo gone; break; }; sleep 0.1; done
