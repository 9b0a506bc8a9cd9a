import java.net.URL;

class JavaUrlConnection {
    public static void main(String[] args) throws Exception {
        var connection = new URL(args[0]).openConnection();
        connection.setRequestProperty("Authorization", "Bearer " + System.getenv("CLIENTS_API_KEY"));
        try (var body = connection.getInputStream()) {
            System.out.println(new String(body.readAllBytes()));
        }
    }
}
