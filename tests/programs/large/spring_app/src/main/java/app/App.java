// SPDX-License-Identifier: Apache-2.0
package app;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.*;

@SpringBootApplication
@RestController
public class App {
    public record Note(String text) {}

    private final List<Note> notes = new CopyOnWriteArrayList<>();

    @GetMapping("/word/{x}")
    public Note word(@PathVariable String x) {
        return new Note("word " + x);
    }

    @GetMapping("/notes")
    public List<Note> all() {
        return notes;
    }

    @PostMapping("/notes")
    public int add(@RequestBody Note n) {
        notes.add(n);
        return notes.size();
    }

    public static void main(String[] args) {
        SpringApplication.run(App.class, args);
    }
}
