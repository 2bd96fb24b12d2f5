// SPDX-License-Identifier: Apache-2.0
package app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.client.TestRestTemplate;

@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT)
class AppTest {
    @Autowired TestRestTemplate rest;

    @Test
    void answers() {
        assertEquals("{\"text\":\"word a\"}", rest.getForObject("/word/a", String.class));
    }

    @Test
    void keeps() {
        assertEquals(1, rest.postForObject("/notes", new App.Note("x"), Integer.class));
        assertEquals("[{\"text\":\"x\"}]", rest.getForObject("/notes", String.class));
    }
}
